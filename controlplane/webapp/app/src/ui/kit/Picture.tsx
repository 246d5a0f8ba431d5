// A moving picture: a stream, or one track of it.

import { useEffect, useRef, useState } from 'react';

interface Props {
  track?: MediaStreamTrack | null;
  stream?: MediaStream | null;
  label: string;
  className?: string;
  /** Told whether there is something to see yet. */
  seen?: (seen: boolean) => void;
  /** Handed the element once it is there. */
  element?: (video: HTMLVideoElement | null) => void;
}

export function Picture({ track = null, stream = null, label, className = '', seen, element }: Props) {
  const own = useRef<HTMLVideoElement>(null);
  const [shown, setShown] = useState(false);
  useEffect(() => {
    const video = own.current;
    if (video === null) return;
    video.srcObject = stream ?? (track === null ? null : new MediaStream([track]));
    return () => {
      video.srcObject = null;
    };
  }, [track, stream]);
  useEffect(() => {
    element?.(own.current);
    // Once: the element stays the same.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);
  useEffect(() => {
    seen?.(shown);
    // Told when it changes; who is told may change at will.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [shown]);
  return (
    <video
      ref={own}
      className={`picture ${className}`}
      aria-label={label}
      autoPlay
      playsInline
      muted
      onPlaying={() => setShown(true)}
      onEmptied={() => setShown(false)}
    />
  );
}
