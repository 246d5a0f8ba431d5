// One's own camera, in a corner of the stage that one chooses.

import { EyeOff, MicOff, Move } from 'lucide-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useStore } from '../../state/store';
import { useApp, usePreferences } from '../app';
import { IconButton } from '../kit/Button';
import { Picture } from '../kit/Picture';

/** In the order in which the button goes round. */
const CORNERS = ['end-bottom', 'start-bottom', 'start-top', 'end-top'] as const;

export function SelfView() {
  const { t } = useTranslation();
  const { local } = useApp();
  const { camera } = useStore(local.state);
  const [{ selfView, mirror, microphoneOn }, prefer] = usePreferences();
  const [corner, setCorner] = useState(0);
  if (!selfView) return null;
  return (
    <section className={`self ${CORNERS[corner % CORNERS.length] ?? ''}`} aria-label={t('self.label')}>
      {camera === null ? (
        <p className="self-words">{t('self.off')}</p>
      ) : (
        <Picture track={camera} label={t('self.label')} className={mirror ? 'mirror' : ''} />
      )}
      {!microphoneOn && (
        <span className="self-muted">
          <MicOff aria-hidden />
          <span className="hidden-visually">{t('self.muted')}</span>
        </span>
      )}
      <div className="self-tools">
        <IconButton label={t('self.move')} className="round small" onPress={() => setCorner(corner + 1)}>
          <Move aria-hidden />
        </IconButton>
        <IconButton label={t('self.hide')} className="round small" onPress={() => prefer({ selfView: false })}>
          <EyeOff aria-hidden />
        </IconButton>
      </div>
    </section>
  );
}
