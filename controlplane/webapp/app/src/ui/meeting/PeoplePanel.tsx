// Who is there, who speaks, who is muted, and what one may do about it.

import { AudioLines, Ellipsis, Hand, Link, Mic, MicOff, MonitorUp, Phone, UserPlus, VideoOff } from 'lucide-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Participant } from '../../signalling/messages';
import { listed } from '../../state/meeting';
import type { Session } from '../../state/session';
import { useStore } from '../../state/store';
import { Button, IconButton } from '../kit/Button';
import { Sheet } from '../kit/Dialogs';
import { DropMenu, type MenuEntry } from '../kit/Menus';
import { Panel } from './Panel';

interface Props {
  session: Session;
  close: () => void;
  add: () => void;
  writeTo: (participantId: string) => void;
  said: (text: string) => void;
}

export function PeoplePanel({ session, close, add, writeTo, said }: Props) {
  const { t } = useTranslation();
  const meeting = useStore(session.state, (state) => state.meeting);
  const [removing, setRemoving] = useState<Participant | null>(null);
  if (meeting === null) return null;
  const { permissions, roster, speaker } = meeting;

  const entriesFor = (one: Participant): MenuEntry[] => [
    ...(permissions.muteOthers && one.state === 'connected'
      ? [
          {
            id: 'mute',
            name: one.audioMuted ? t('people.askUnmute') : t('people.mute'),
            act: () => session.muteOther(one.id, !one.audioMuted),
          },
        ]
      : []),
    ...(permissions.chat && one.kind === 'web'
      ? [{ id: 'message', name: t('people.message'), act: () => writeTo(one.id) }]
      : []),
    ...(permissions.removeOthers
      ? [{ id: 'remove', name: t('people.remove'), danger: true, act: () => setRemoving(one) }]
      : []),
  ];
  const copyLink = () => {
    void navigator.clipboard.writeText(location.href).then(() => said(t('people.linkCopied')));
  };

  return (
    <Panel title={t('people.title')} close={close}>
      <div className="panel-tools">
        {permissions.addParticipant && (
          <Button look="outline" onPress={add}>
            <UserPlus aria-hidden /> {t('people.add')}
          </Button>
        )}
        <Button look="outline" onPress={copyLink}>
          <Link aria-hidden /> {t('people.copyLink')}
        </Button>
      </div>
      <ul className="people" aria-label={t('people.list')}>
        {listed(roster).map((one) => (
          <Person key={one.id} one={one} speaking={one.id === speaker} entries={one.self ? [] : entriesFor(one)} />
        ))}
      </ul>
      {permissions.muteOthers && roster.length > 1 && (
        <div className="panel-foot">
          <Button className="wide" onPress={() => session.muteAll()}>
            <MicOff aria-hidden /> {t('people.muteAll')}
          </Button>
        </div>
      )}
      <Sheet
        alert
        open={removing !== null}
        close={() => setRemoving(null)}
        title={t('people.removeTitle', { name: removing?.name ?? '' })}
      >
        <p>{t('people.removeText')}</p>
        <div className="dialog-foot">
          <Button onPress={() => setRemoving(null)}>{t('common.cancel')}</Button>
          <Button
            look="danger"
            onPress={() => {
              if (removing !== null) session.remove(removing.id);
              setRemoving(null);
            }}
          >
            {t('people.removeDo')}
          </Button>
        </div>
      </Sheet>
    </Panel>
  );
}

/** Two letters for a face. What is one letter differs by script, and is not one code point. */
function initials(name: string, language: string): string {
  const words = name.trim().split(/\s+/);
  const letters = new Intl.Segmenter(language, { granularity: 'grapheme' });
  const first = (word: string) => [...letters.segment(word)][0]?.segment ?? '';
  const chosen = words.length > 1 ? [words[0] ?? '', words[words.length - 1] ?? ''] : words;
  return chosen.map(first).join('').toLocaleUpperCase(language);
}

function Person({ one, speaking, entries }: { one: Participant; speaking: boolean; entries: MenuEntry[] }) {
  const { t, i18n } = useTranslation();
  const detail =
    one.state !== 'connected' ? t(`people.${one.state}`) : speaking ? t('people.speaking') : one.kind === 'sip' ? t('people.sip') : null;
  return (
    <li className="person" data-speaking={speaking || undefined}>
      <span className="face" aria-hidden>
        {one.kind === 'sip' ? <Phone /> : initials(one.name, i18n.language)}
      </span>
      <span className="person-words">
        <span className="person-name">{one.self ? t('people.you', { name: one.name }) : <bdi>{one.name}</bdi>}</span>
        {detail !== null && <span className="hint">{detail}</span>}
      </span>
      <span className="marks">
        {one.handRaised && <MarkOf icon={<Hand aria-hidden />} words={t('people.handRaised')} look="hand" />}
        {one.sharing && <MarkOf icon={<MonitorUp aria-hidden />} words={t('people.sharing')} />}
        {one.videoMuted && <MarkOf icon={<VideoOff aria-hidden />} words={t('people.videoOff')} />}
        <MarkOf
          icon={one.audioMuted ? <MicOff aria-hidden /> : speaking ? <AudioLines aria-hidden /> : <Mic aria-hidden />}
          words={one.audioMuted ? t('people.muted') : t('people.notMuted')}
          look={one.audioMuted ? 'muted' : speaking ? 'speaking' : ''}
        />
      </span>
      {entries.length > 0 ? (
        <DropMenu
          trigger={
            <IconButton look="quiet" label={t('people.actions', { name: one.name })}>
              <Ellipsis aria-hidden />
            </IconButton>
          }
          label={t('people.actions', { name: one.name })}
          entries={entries}
        />
      ) : (
        <span className="no-actions" />
      )}
    </li>
  );
}

function MarkOf({ icon, words, look = '' }: { icon: React.ReactNode; words: string; look?: string }) {
  return (
    <span className={`person-mark ${look}`} title={words}>
      {icon}
      <span className="hidden-visually">{words}</span>
    </span>
  );
}
