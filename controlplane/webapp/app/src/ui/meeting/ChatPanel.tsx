// Chat: to everybody or to one, newest at the end. The list is a live region.

import { LoaderCircle, SendHorizontal } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { TextArea, TextField } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { CHAT_TEXT_MAX, type ChatMessage } from '../../signalling/messages';
import type { Session } from '../../state/session';
import { useStore } from '../../state/store';
import { IconButton } from '../kit/Button';
import { Choose } from '../kit/Fields';
import { Panel } from './Panel';

/** When so few characters are left, their number is shown. */
const SHOW_LEFT_BELOW = 200;
const EVERYONE = '';

interface Props {
  session: Session;
  close: () => void;
  to: string | null;
  setTo: (to: string | null) => void;
}

export function ChatPanel({ session, close, to, setTo }: Props) {
  const { t } = useTranslation();
  const { meeting, pending } = useStore(session.state);
  const [text, setText] = useState('');
  const end = useRef<HTMLDivElement>(null);
  const count = (meeting?.chat.length ?? 0) + pending.length;
  useEffect(() => {
    end.current?.scrollIntoView({ block: 'end' });
  }, [count]);
  if (meeting === null) return null;

  const others = meeting.roster.filter((one) => !one.self && one.kind === 'web');
  const nameOf = (id: string) => meeting.roster.find((one) => one.id === id)?.name ?? '…';
  // Who has left can be written to no more.
  const chosen = to !== null && others.some((one) => one.id === to) ? to : EVERYONE;
  const left = CHAT_TEXT_MAX - text.length;

  const send = () => {
    const words = text.trim();
    if (words === '') return;
    session.chat(words, chosen === EVERYONE ? null : chosen);
    setText('');
  };

  return (
    <Panel title={t('chat.title')} close={close}>
      {/* Scrolls by arrow keys. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div className="chat-log" role="log" aria-label={t('chat.log')} tabIndex={0}>
        {count === 0 && (
          <div className="chat-empty">
            <p>{t('chat.empty')}</p>
            <p className="hint">{t('chat.emptyHint')}</p>
          </div>
        )}
        {meeting.chat.map((one) => (
          <Message key={`${one.from}/${one.id}`} one={one} own={one.from === meeting.selfId} nameOf={nameOf} />
        ))}
        {pending.map((one) => (
          <Message key={one.id} one={one} own pending nameOf={nameOf} />
        ))}
        <div ref={end} />
      </div>
      <div className="chat-write">
        <Choose
          label={t('chat.to')}
          choices={[{ id: EVERYONE, name: t('chat.everyone') }, ...others.map(({ id, name }) => ({ id, name }))]}
          chosen={chosen}
          choose={(id) => setTo(id === EVERYONE ? null : id)}
        />
        <div className="beside">
          {/* eslint-disable-next-line jsx-a11y/no-autofocus -- the panel was opened to write */}
          <TextField className="field" aria-label={t('chat.write')} value={text} onChange={setText} maxLength={CHAT_TEXT_MAX} autoFocus>
            <TextArea
              className="input"
              rows={2}
              dir="auto"
              placeholder={t('chat.write')}
              onKeyDown={(event) => {
                // Enter also ends the composition of a character; that is not sending.
                if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
                event.preventDefault();
                send();
              }}
            />
          </TextField>
          <IconButton look="primary" label={t('chat.send')} onPress={send} isDisabled={text.trim() === ''}>
            <SendHorizontal className="flip" aria-hidden />
          </IconButton>
        </div>
        {left < SHOW_LEFT_BELOW && <p className="hint">{t('chat.left', { count: left })}</p>}
      </div>
    </Panel>
  );
}

interface MessageProps {
  one: ChatMessage;
  own: boolean;
  pending?: boolean;
  nameOf: (id: string) => string;
}

function Message({ one, own, pending = false, nameOf }: MessageProps) {
  const { t, i18n } = useTranslation();
  const time = new Intl.DateTimeFormat(i18n.language, { hour: 'numeric', minute: '2-digit' }).format(one.atMs);
  const aside = one.to === null ? null : own ? t('chat.privateTo', { name: nameOf(one.to) }) : t('chat.private');
  return (
    <article className={own ? 'message own' : 'message'} data-private={one.to !== null || undefined}>
      <p className="message-head">
        <span className="message-name" dir="auto">{own ? t('chat.you') : one.name}</span>
        {aside !== null && <span className="message-aside">{aside}</span>}
        {pending ? (
          <span className="message-time">
            <LoaderCircle className="spin" aria-hidden /> {t('chat.sending')}
          </span>
        ) : (
          <time className="message-time" dateTime={new Date(one.atMs).toISOString()}>
            {time}
          </time>
        )}
      </p>
      <p className="message-text" dir="auto">
        {one.text}
      </p>
    </article>
  );
}
