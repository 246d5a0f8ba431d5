// Where one is, for how long, and how good the connection is.

import { LayoutGrid, LoaderCircle, Maximize, Minimize } from 'lucide-react';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Quality } from '../../media/quality';
import type { Session } from '../../state/session';
import { useStore } from '../../state/store';
import { useApp } from '../app';
import { Button, IconButton } from '../kit/Button';
import { ChoiceMenu } from '../kit/Menus';
import { isApple, written } from './shortcuts';

interface Props {
  session: Session;
  showStatistics: () => void;
  fullScreen: () => void;
}

export function TopBar({ session, showStatistics, fullScreen }: Props) {
  const { t } = useTranslation();
  const { config } = useApp();
  const { at, meeting, sinceMs, quality } = useStore(session.state);
  const full = useFullScreen();
  return (
    <header className="top">
      <h1 className="top-title" dir="auto">{meeting?.spaceName ?? config.productName}</h1>
      {sinceMs !== null && <Elapsed sinceMs={sinceMs} />}
      {at === 'reconnecting' ? (
        <span className="chip warn" role="status">
          <LoaderCircle className="spin" aria-hidden /> {t('news.reconnecting')}
        </span>
      ) : (
        <QualityButton quality={quality.shown} press={showStatistics} />
      )}
      <span className="grow" />
      {meeting !== null && meeting.permissions.layout && meeting.layouts.length > 0 && (
        <ChoiceMenu
          trigger={
            <Button look="quiet" className="top-layout">
              <LayoutGrid aria-hidden /> <span className="top-words">{t('control.layout')}</span>
            </Button>
          }
          label={t('control.layout')}
          choices={meeting.layouts.map((id) => ({ id, name: t(`layout.${id}` as 'layout.allEqual', { defaultValue: id }) }))}
          chosen={meeting.layout}
          choose={(id) => session.setLayout(id)}
        />
      )}
      {document.fullscreenEnabled && (
        <IconButton
          look="quiet"
          label={full ? t('control.exitFullScreen') : t('control.fullScreen')}
          keys={written('fullScreen', isApple())}
          onPress={fullScreen}
        >
          {full ? <Minimize aria-hidden /> : <Maximize aria-hidden />}
        </IconButton>
      )}
    </header>
  );
}

/** Three bars, in a colour and in words. */
function QualityButton({ quality, press }: { quality: Quality; press: () => void }) {
  const { t } = useTranslation();
  const bars = { good: 3, fair: 2, poor: 1 }[quality];
  return (
    <IconButton
      look="quiet"
      label={t('statistics.qualityLabel', { quality: t(`statistics.${quality}`) })}
      className={`quality ${quality}`}
      onPress={press}
    >
      <svg viewBox="0 0 20 20" aria-hidden="true" focusable="false">
        {[1, 2, 3].map((bar) => (
          <rect
            key={bar}
            x={bar * 6 - 5}
            y={17 - bar * 4.5}
            width="4"
            height={bar * 4.5}
            rx="1.2"
            className={bar <= bars ? 'on' : 'off'}
          />
        ))}
      </svg>
    </IconButton>
  );
}

/** `4:07`, `1:04:07`. Digits are those of the language. */
export function elapsed(ms: number, language: string): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = new Intl.NumberFormat(language, { minimumIntegerDigits: 2, useGrouping: false });
  const one = new Intl.NumberFormat(language, { useGrouping: false });
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  const head = hours > 0 ? `${one.format(hours)}:${two.format(minutes)}` : one.format(minutes);
  return `${head}:${two.format(seconds % 60)}`;
}

function Elapsed({ sinceMs }: { sinceMs: number }) {
  const { i18n } = useTranslation();
  const [nowMs, setNowMs] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <span className="top-clock" role="timer" aria-live="off">
      {elapsed(nowMs - sinceMs, i18n.language)}
    </span>
  );
}

function useFullScreen(): boolean {
  const [full, setFull] = useState(document.fullscreenElement !== null);
  useEffect(() => {
    const changed = () => setFull(document.fullscreenElement !== null);
    document.addEventListener('fullscreenchange', changed);
    return () => document.removeEventListener('fullscreenchange', changed);
  }, []);
  return full;
}
