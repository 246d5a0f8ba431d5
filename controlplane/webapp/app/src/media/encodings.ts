// What is sent, and how much of it: simulcast layers of the camera, codecs of the
// screen share, and what a camera or a screen is asked for.

/**
 * The camera in three sizes, largest first: the server takes the one that its
 * panes need. Rates are ceilings; congestion control goes lower.
 */
export const ENCODINGS: readonly RTCRtpEncodingParameters[] = [
  { rid: 'h', maxBitrate: 1_700_000 },
  { rid: 'm', maxBitrate: 500_000, scaleResolutionDownBy: 2 },
  { rid: 'l', maxBitrate: 150_000, scaleResolutionDownBy: 4 },
];

/** Ceiling of the screen share's rate, in bit/s: 1080p of text, sharp at once. */
export const SCREEN_BITRATE_MAX = 3_000_000;

/** Best first for text; what a browser lacks is left out. */
const CONTENT_CODECS = ['video/AV1', 'video/H264', 'video/VP9', 'video/VP8'] as const;

type Codec = { mimeType: string };

/** Stable order by preference; codecs that are not named (RTX, FEC) stay last. */
export function byPreference<T extends Codec>(codecs: readonly T[]): T[] {
  const rank = ({ mimeType }: Codec) => {
    const at = CONTENT_CODECS.findIndex((one) => one.toLowerCase() === mimeType.toLowerCase());
    return at === -1 ? CONTENT_CODECS.length : at;
  };
  return [...codecs].sort((a, b) => rank(a) - rank(b));
}

/** Asks for the codecs that keep text sharp, where the browser lets a page choose. */
export function preferContentCodecs(transceiver: RTCRtpTransceiver): void {
  const codecs = RTCRtpReceiver.getCapabilities('video')?.codecs;
  if (codecs === undefined || typeof transceiver.setCodecPreferences !== 'function') return;
  transceiver.setCodecPreferences(byPreference(codecs));
}

export type Definition = 'hd' | 'sd';

/** What a camera is asked for; `ideal` lets any camera answer with what it has. */
export function cameraConstraints(deviceId: string, definition: Definition): MediaTrackConstraints {
  const height = definition === 'hd' ? 720 : 360;
  return {
    ...(deviceId === '' ? { facingMode: 'user' } : { deviceId: { exact: deviceId } }),
    width: { ideal: (height * 16) / 9 },
    height: { ideal: height },
    frameRate: { ideal: 30, max: 30 },
  };
}

export function microphoneConstraints(deviceId: string): MediaTrackConstraints {
  return {
    ...(deviceId === '' ? {} : { deviceId: { exact: deviceId } }),
    echoCancellation: true,
    noiseSuppression: true,
    autoGainControl: true,
  };
}

/** `text` keeps edges and lets pictures wait; `motion` the other way round. */
export type Optimise = 'text' | 'motion';

export function screenConstraints(optimise: Optimise): DisplayMediaStreamOptions {
  return {
    video: {
      width: { max: 1920 },
      height: { max: 1080 },
      frameRate: optimise === 'text' ? { ideal: 15, max: 30 } : { ideal: 30, max: 30 },
    },
    // A tab's sound as it is: what helps a voice harms music.
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  };
}
