// The meeting: stage, controls, one panel beside them, and what opens over them.

import '../../styles/meeting.css';
import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { chime } from '../../media/audio';
import { canShareScreen } from '../../media/devices';
import type { EndReason } from '../../signalling/connection';
import { browserStorage } from '../../state/preferences';
import type { Session } from '../../state/session';
import { useStore } from '../../state/store';
import { refreshCall, REFRESH_EVERY_MS } from '../../state/tabMemory';
import { useApp, usePreferences } from '../app';
import { Mix } from './Mix';
import { AddSheet, SettingsSheet, ShortcutsSheet } from './Sheets';
import { ChatPanel } from './ChatPanel';
import { Controls } from './Controls';
import { News, sentence, tone } from './news';
import { PeoplePanel } from './PeoplePanel';
import { shortcutOf, type Shortcut } from './shortcuts';
import { Stage } from './Stage';
import { StatisticsPanel } from './StatisticsPanel';
import { Toasts } from './Toasts';
import { TopBar } from './TopBar';

export type PanelName = 'chat' | 'people' | 'statistics';
export type SheetName = 'settings' | 'shortcuts' | 'add';

interface Props {
  session: Session;
  ended: (reason: EndReason) => void;
}

export default function MeetingView({ session, ended }: Props) {
  const { t, i18n } = useTranslation();
  const { local, preferences } = useApp();
  const [{ cameraOn, microphoneOn }] = usePreferences();
  const [news] = useState(() => new News());
  const [panel, setPanel] = useState<PanelName | null>(null);
  const [sheet, setSheet] = useState<SheetName | null>(null);
  const [unread, setUnread] = useState(0);
  const [privateTo, setPrivateTo] = useState<string | null>(null);
  const root = useRef<HTMLDivElement>(null);
  /** What had the focus before a panel took it. */
  const opener = useRef<Element | null>(null);
  const { companion } = session.around;
  const { at, endReason, meeting, screen } = useStore(session.state);

  useEffect(() =>
    session.listen((happening) => {
      if (happening.what === 'chat') {
        if (panel === 'chat') return;
        setUnread((count) => count + 1);
      }
      news.say(sentence(t, i18n.language, happening));
      const sound = tone(happening);
      if (sound !== null && preferences.get().chimes && !companion) chime(sound);
    }),
  );

  useEffect(() => {
    // After a reload nobody has opened the devices yet.
    if (!companion && local.state.get().microphone === null && local.state.get().camera === null) void local.start();
    const timer = setInterval(() => refreshCall(browserStorage('sessionStorage'), Date.now()), REFRESH_EVERY_MS);
    return () => clearInterval(timer);
  }, [companion, local]);

  const spaceName = meeting?.spaceName;
  useEffect(() => {
    if (spaceName === undefined) return;
    const { title } = document;
    document.title = `${spaceName} · ${title}`;
    return () => {
      document.title = title;
    };
  }, [spaceName]);

  const before = useRef(at);
  useEffect(() => {
    if (before.current === 'reconnecting' && at === 'live') news.say(t('news.reconnected'));
    before.current = at;
    if (at === 'ended' && endReason !== null) ended(endReason);
    // Each state is acted upon once.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [at]);

  useEffect(() => {
    // Only if the panel took the focus with it; the user may be elsewhere by now.
    if (panel !== null || document.activeElement !== document.body) return;
    if (opener.current instanceof HTMLElement) opener.current.focus();
  }, [panel]);

  const open = (name: PanelName | null) => {
    if (panel === null) opener.current = document.activeElement;
    if (name === 'chat') setUnread(0);
    setPanel(name);
  };
  const toggle = (name: PanelName) => open(panel === name ? null : name);
  const share = () => {
    if (screen !== null) void session.stopSharing();
    else session.share().catch(() => news.say(t('news.shareTrouble')));
  };
  const fullScreen = () => {
    if (document.fullscreenElement !== null) void document.exitFullscreen();
    else void root.current?.requestFullscreen();
  };

  const act: Record<Shortcut, () => void> = {
    mute: () => session.setMicrophone(!microphoneOn),
    video: () => session.setCamera(!cameraOn),
    share: () => canShareScreen() && meeting?.permissions.share === true && share(),
    hand: () => session.raiseHand(!(meeting?.handRaised ?? false)),
    chat: () => toggle('chat'),
    people: () => toggle('people'),
    statistics: () => toggle('statistics'),
    fullScreen,
    list: () => setSheet('shortcuts'),
  };
  const keys = useRef(act);
  useEffect(() => {
    keys.current = act;
  });
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const shortcut = shortcutOf(event);
      if (shortcut === null || document.querySelector('[role="dialog"], [role="alertdialog"]') !== null) return;
      event.preventDefault();
      keys.current[shortcut]();
    };
    window.addEventListener('keydown', pressed);
    return () => window.removeEventListener('keydown', pressed);
  }, []);

  return (
    <div className="meeting" ref={root} data-panel={panel ?? undefined}>
      <a className="skip" href="#controls">
        {t('common.skip')}
      </a>
      <TopBar session={session} showStatistics={() => open('statistics')} fullScreen={fullScreen} />
      <Stage session={session} />
      {panel === 'people' && (
        <PeoplePanel
          session={session}
          close={() => open(null)}
          add={() => setSheet('add')}
          writeTo={(id) => {
            setPrivateTo(id);
            open('chat');
          }}
          said={(text) => news.say(text)}
        />
      )}
      {panel === 'chat' && <ChatPanel session={session} close={() => open(null)} to={privateTo} setTo={setPrivateTo} />}
      {panel === 'statistics' && <StatisticsPanel session={session} close={() => open(null)} />}
      <div id="controls" className="controls-place" tabIndex={-1}>
        <Controls
          session={session}
          panel={panel}
          unread={unread}
          toggle={toggle}
          share={share}
          openSheet={setSheet}
          fullScreen={fullScreen}
        />
      </div>
      <Toasts news={news} />
      <Mix session={session} />
      <SettingsSheet open={sheet === 'settings'} close={() => setSheet(null)} companion={companion} />
      <ShortcutsSheet open={sheet === 'shortcuts'} close={() => setSheet(null)} />
      <AddSheet open={sheet === 'add'} close={() => setSheet(null)} add={(uri) => session.addParticipant(uri)} />
    </div>
  );
}
