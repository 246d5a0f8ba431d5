// What there is to see: everybody in one composed picture, beside it a screen
// that somebody shares, and one's own camera in a corner.

import { LoaderCircle, MonitorUp, PictureInPicture2, ZoomIn } from 'lucide-react';
import { useState, type CSSProperties } from 'react';
import { useTranslation } from 'react-i18next';
import type { Session } from '../../state/session';
import { useStore } from '../../state/store';
import { Button, IconButton } from '../kit/Button';
import { Picture } from '../kit/Picture';
import { SelfView } from './SelfView';

/** Magnifications of a shared screen, in per cent; after the last comes the first. */
const ZOOMS = [100, 150, 200] as const;

export function Stage({ session }: { session: Session }) {
  const { t } = useTranslation();
  const { at, meeting, mediaConnected, streams, screen } = useStore(session.state);
  const [seen, setSeen] = useState(false);
  const companion = session.around.companion;
  // One's own screen is not shown to oneself.
  const shared = meeting?.content ?? null;
  const content = shared?.participantId === meeting?.selfId ? null : shared;
  const alone = meeting?.roster.every((one) => one.self) === true;
  return (
    <main className="stage" aria-label={t('stage.label')} data-content={content !== null || undefined}>
      {content !== null && <Content name={content.name} stream={streams.content} />}
      <div className="view">
        {!companion && <Picture stream={streams.video} label={t('stage.view')} className="contain" seen={setSeen} />}
        {content === null && (companion || alone || !seen || !mediaConnected) && (
          <div className={seen && mediaConnected ? 'stage-words over' : 'stage-words'}>
            {companion ? (
              <p>{t('stage.companion')}</p>
            ) : at === 'joining' || !mediaConnected ? (
              <p role="status">
                <LoaderCircle className="spin" aria-hidden /> {t('stage.connecting')}
              </p>
            ) : alone ? (
              <>
                <p className="large">{t('stage.alone')}</p>
                <p>{t('stage.aloneHint')}</p>
              </>
            ) : (
              <p>{t('stage.waitingView')}</p>
            )}
          </div>
        )}
      </div>
      {screen !== null && (
        <div className="sharing">
          <MonitorUp aria-hidden />
          <span>{t('stage.sharing')}</span>
          <Button look="danger" onPress={() => void session.stopSharing()}>
            {t('control.stopShare')}
          </Button>
        </div>
      )}
      {!companion && <SelfView />}
    </main>
  );
}

/** A screen that another shares: magnified, scrolled, or in a window of its own. */
function Content({ name, stream }: { name: string; stream: MediaStream | null }) {
  const { t } = useTranslation();
  const [video, setVideo] = useState<HTMLVideoElement | null>(null);
  const [zoom, setZoom] = useState(0);
  const percent = ZOOMS[zoom % ZOOMS.length] ?? 100;
  return (
    <section className="content" aria-label={t('stage.content', { name })}>
      {/* Scrolls when magnified, by arrow keys too. */}
      <div className="content-scroll" tabIndex={percent > 100 ? 0 : -1} style={{ '--zoom': percent / 100 } as CSSProperties}>
        <Picture stream={stream} label={t('stage.content', { name })} className="contain" element={setVideo} />
      </div>
      <div className="content-tools">
        <span className="content-name">{t('stage.content', { name })}</span>
        <IconButton label={t('stage.zoomValue', { percent })} className="round small" onPress={() => setZoom(zoom + 1)}>
          <ZoomIn aria-hidden />
        </IconButton>
        {document.pictureInPictureEnabled && (
          <IconButton
            label={t('stage.popOut')}
            className="round small"
            onPress={() => void video?.requestPictureInPicture().catch(() => undefined)}
          >
            <PictureInPicture2 aria-hidden />
          </IconButton>
        )}
      </div>
    </section>
  );
}
