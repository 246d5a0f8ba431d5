// The sound of the meeting, on the chosen loudspeaker. A browser may hold it back
// until the user has touched the page, after a reload for example; then it is
// asked for by a button.

import { Volume2 } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Session } from '../../state/session';
import { useStore } from '../../state/store';
import { usePreferences } from '../app';
import { Button } from '../kit/Button';

export function Mix({ session }: { session: Session }) {
  const { t } = useTranslation();
  const audio = useRef<HTMLAudioElement>(null);
  const stream = useStore(session.state, (state) => state.streams.audio);
  const [{ speakerId }] = usePreferences();
  const [blocked, setBlocked] = useState(false);

  const play = () => {
    audio.current?.play().then(
      () => setBlocked(false),
      // Other errors mean a newer stream, whose own attempt follows.
      (error: unknown) => setBlocked(error instanceof DOMException && error.name === 'NotAllowedError'),
    );
  };

  useEffect(() => {
    if (audio.current === null) return;
    audio.current.srcObject = stream;
    if (stream !== null) play();
  }, [stream]);

  useEffect(() => {
    const element = audio.current;
    // A loudspeaker that is gone leaves the sound where it was.
    if (element !== null && 'setSinkId' in element) element.setSinkId(speakerId).catch(() => undefined);
  }, [speakerId]);

  return (
    <>
      {/* Live speech has no captions to offer here. */}
      {/* eslint-disable-next-line jsx-a11y/media-has-caption */}
      <audio ref={audio} />
      {blocked && (
        <div className="banner" role="alert">
          <span>{t('stage.soundBlocked')}</span>
          <Button look="primary" onPress={play}>
            <Volume2 aria-hidden /> {t('stage.soundOn')}
          </Button>
        </div>
      )}
    </>
  );
}
