// One's own camera as others will see it, the level of the microphone, and both
// switches.

import { CircleAlert, Mic, MicOff, Video, VideoOff } from 'lucide-react';
import { useEffect, useState } from 'react';
import { Meter } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { meter } from '../../media/audio';
import { useStore } from '../../state/store';
import { useApp, usePreferences } from '../app';
import { Button, IconButton } from '../kit/Button';
import { Picture } from '../kit/Picture';

export function Preview() {
  const { t } = useTranslation();
  const { local } = useApp();
  const [{ cameraOn, microphoneOn, mirror }, prefer] = usePreferences();
  const { camera, cameraTrouble, microphoneTrouble, microphone, blurTrouble } = useStore(local.state);
  const troubles = [
    ...(microphoneTrouble === null || !microphoneOn ? [] : [t(`device.${microphoneTrouble}.microphone`)]),
    ...(cameraTrouble === null || !cameraOn ? [] : [t(`device.${cameraTrouble}.camera`)]),
    ...(blurTrouble && cameraOn ? [t('device.blurTrouble')] : []),
  ];
  return (
    <div className="stack">
      <div className="preview">
        {camera === null ? (
          <p className="preview-words">{cameraOn && cameraTrouble === null && !blurTrouble ? t('ready.cameraStarting') : t('ready.cameraOff')}</p>
        ) : (
          <Picture track={camera} label={t('ready.preview')} className={mirror ? 'mirror' : ''} />
        )}
        <div className="preview-switches">
          <IconButton
            label={microphoneOn ? t('control.mute') : t('control.unmute')}
            className={microphoneOn ? 'round' : 'round off'}
            onPress={() => prefer({ microphoneOn: !microphoneOn })}
          >
            {microphoneOn ? <Mic aria-hidden /> : <MicOff aria-hidden />}
          </IconButton>
          <IconButton
            label={cameraOn ? t('control.stopVideo') : t('control.startVideo')}
            className={cameraOn ? 'round' : 'round off'}
            onPress={() => prefer({ cameraOn: !cameraOn })}
          >
            {cameraOn ? <Video aria-hidden /> : <VideoOff aria-hidden />}
          </IconButton>
        </div>
      </div>
      <Level track={microphoneOn ? microphone : null} />
      {troubles.map((trouble) => (
        <div key={trouble} className="alert" role="alert">
          <CircleAlert aria-hidden />
          <span className="grow">{trouble}</span>
          <Button look="outline" onPress={() => void local.start()}>
            {t('device.retry')}
          </Button>
        </div>
      ))}
    </div>
  );
}

/** How loud the microphone is; nothing while it is off. */
export function Level({ track }: { track: MediaStreamTrack | null }) {
  const { t } = useTranslation();
  const [level, setLevel] = useState(0);
  useEffect(() => {
    if (track === null) return;
    const stop = meter(track, setLevel);
    return () => {
      stop();
      setLevel(0);
    };
  }, [track]);
  return (
    <Meter className="level" aria-label={t('ready.level')} value={Math.round(level * 100)}>
      <Mic aria-hidden />
      <div className="level-bar">
        <div className="level-fill" style={{ inlineSize: `${level * 100}%` }} />
      </div>
    </Meter>
  );
}
