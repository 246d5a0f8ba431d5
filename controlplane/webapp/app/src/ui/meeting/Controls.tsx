// The bar of controls: what is used all the time in sight, the rest under More.

import {
  Activity,
  Ellipsis,
  Hand,
  Keyboard,
  Maximize,
  MessageSquare,
  Mic,
  MicOff,
  MonitorUp,
  PhoneOff,
  Settings,
  SquareUserRound,
  Users,
  Video,
  VideoOff,
} from 'lucide-react';
import type { ReactNode } from 'react';
import { Toolbar, ToggleButton } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { canShareScreen } from '../../media/devices';
import type { Session } from '../../state/session';
import { useStore } from '../../state/store';
import { usePreferences } from '../app';
import { Button } from '../kit/Button';
import { DropMenu, type MenuEntry } from '../kit/Menus';
import type { PanelName, SheetName } from './MeetingView';
import { isApple, written, type Shortcut } from './shortcuts';

interface Props {
  session: Session;
  panel: PanelName | null;
  unread: number;
  toggle: (panel: PanelName) => void;
  share: () => void;
  openSheet: (sheet: SheetName) => void;
  fullScreen: () => void;
}

export function Controls({ session, panel, unread, toggle, share, openSheet, fullScreen }: Props) {
  const { t } = useTranslation();
  const { meeting, screen } = useStore(session.state);
  const [{ cameraOn, microphoneOn, selfView }, prefer] = usePreferences();
  const { companion } = session.around;
  const sharable = canShareScreen() && meeting?.permissions.share === true;
  const chatting = meeting?.permissions.chat === true;
  const hand = meeting?.handRaised ?? false;
  const people = meeting?.roster.length ?? 0;

  const entries: MenuEntry[] = [
    ...(companion
      ? []
      : [
          {
            id: 'self',
            name: selfView ? t('self.hide') : t('self.show'),
            icon: <SquareUserRound aria-hidden />,
            act: () => prefer({ selfView: !selfView }),
          },
        ]),
    { id: 'statistics', name: t('control.statistics'), icon: <Activity aria-hidden />, act: () => toggle('statistics') },
    ...(document.fullscreenEnabled
      ? [{ id: 'full', name: t('control.fullScreen'), icon: <Maximize aria-hidden />, act: fullScreen }]
      : []),
    { id: 'shortcuts', name: t('control.shortcuts'), icon: <Keyboard aria-hidden />, act: () => openSheet('shortcuts') },
    'separator',
    { id: 'settings', name: t('control.settings'), icon: <Settings aria-hidden />, act: () => openSheet('settings') },
  ];

  return (
    <Toolbar className="controls" aria-label={t('control.toolbar')}>
      {!companion && (
        <>
          <Control
            name={microphoneOn ? t('control.mute') : t('control.unmute')}
            keys="mute"
            icon={microphoneOn ? <Mic aria-hidden /> : <MicOff aria-hidden />}
            look={microphoneOn ? '' : 'off'}
            press={() => session.setMicrophone(!microphoneOn)}
          />
          <Control
            name={cameraOn ? t('control.stopVideo') : t('control.startVideo')}
            keys="video"
            icon={cameraOn ? <Video aria-hidden /> : <VideoOff aria-hidden />}
            look={cameraOn ? '' : 'off'}
            press={() => session.setCamera(!cameraOn)}
          />
        </>
      )}
      {sharable && (
        <Control
          name={screen === null ? t('control.share') : t('control.stopShare')}
          keys="share"
          icon={<MonitorUp aria-hidden />}
          look={screen === null ? '' : 'on'}
          press={share}
        />
      )}
      <Control
        name={hand ? t('control.lower') : t('control.raise')}
        keys="hand"
        icon={<Hand aria-hidden />}
        look={hand ? 'on' : ''}
        press={() => session.raiseHand(!hand)}
      />
      {chatting && (
        <Opener
          which="chat"
          name={t('control.chat')}
          said={unread > 0 ? t('control.chatUnread', { count: unread }) : ''}
          count={unread}
          urgent
          icon={<MessageSquare aria-hidden />}
          open={panel === 'chat'}
          toggle={() => toggle('chat')}
        />
      )}
      <Opener
        which="people"
        name={t('control.people')}
        said={t('control.peopleCount', { count: people })}
        count={people}
        icon={<Users aria-hidden />}
        open={panel === 'people'}
        toggle={() => toggle('people')}
      />
      <DropMenu
        trigger={
          <Button className="control control-more">
            <span className="control-icon">
              <Ellipsis aria-hidden />
            </span>
            <span className="control-name">{t('control.more')}</span>
          </Button>
        }
        label={t('control.moreLabel')}
        entries={entries}
      />
      <Button className="control control-leave" onPress={() => session.leave()}>
        <span className="control-icon">
          <PhoneOff aria-hidden />
        </span>
        <span className="control-name">{t('control.leave')}</span>
      </Button>
    </Toolbar>
  );
}

interface ControlProps {
  name: string;
  keys: Shortcut;
  icon: ReactNode;
  look: '' | 'off' | 'on';
  press: () => void;
}

/** Does what its name says; the name changes with the state. */
function Control({ name, keys, icon, look, press }: ControlProps) {
  const shown = written(keys, isApple());
  return (
    <Button className={`control ${look}`} onPress={press} aria-keyshortcuts={shown.replace('⌥', 'Alt+')}>
      <span className="control-icon">{icon}</span>
      <span className="control-name">{name}</span>
    </Button>
  );
}

interface OpenerProps {
  which: PanelName;
  name: string;
  /** What the number on it means, for screen readers. */
  said: string;
  count: number;
  urgent?: boolean;
  icon: ReactNode;
  open: boolean;
  toggle: () => void;
}

/** Opens and closes a panel; pressed while it is open. */
function Opener({ which, name, said, count, urgent = false, icon, open, toggle }: OpenerProps) {
  const { i18n } = useTranslation();
  return (
    <ToggleButton className={`button control control-${which}`} isSelected={open} onChange={toggle}>
      <span className="control-icon">
        {icon}
        {count > 0 && (
          <span className={urgent ? 'badge urgent' : 'badge'} aria-hidden>
            {new Intl.NumberFormat(i18n.language).format(Math.min(count, 99))}
          </span>
        )}
      </span>
      <span className="control-name">{name}</span>
      <span className="hidden-visually">{said}</span>
    </ToggleButton>
  );
}
