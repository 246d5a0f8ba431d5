// Cameras, microphones, loudspeakers: which there are, opening them, and saying
// why one could not be opened.

import { cameraConstraints, microphoneConstraints, screenConstraints, type Definition, type Optimise } from './encodings';

export interface Device {
  id: string;
  /** Empty until the user has allowed one of its kind. */
  label: string;
}

export interface Devices {
  cameras: Device[];
  microphones: Device[];
  /** Empty where the browser does not let a page choose. */
  speakers: Device[];
}

export const NO_DEVICES: Devices = { cameras: [], microphones: [], speakers: [] };

/** Why a device was not opened: the user or policy said no, there is none, or another program has it. */
export type DeviceTrouble = 'denied' | 'missing' | 'busy' | 'insecure';

export class DeviceError extends Error {
  constructor(readonly trouble: DeviceTrouble) {
    super(trouble);
  }
}

function troubleOf(error: unknown): DeviceTrouble {
  const name = error instanceof DOMException ? error.name : '';
  if (name === 'NotAllowedError' || name === 'SecurityError') return 'denied';
  if (name === 'NotFoundError' || name === 'OverconstrainedError') return 'missing';
  return 'busy';
}

async function open(constraints: MediaStreamConstraints): Promise<MediaStreamTrack> {
  // Browsers hide devices from pages that came without TLS.
  if (!('mediaDevices' in navigator)) throw new DeviceError('insecure');
  try {
    const [track] = (await navigator.mediaDevices.getUserMedia(constraints)).getTracks();
    if (track === undefined) throw new DeviceError('missing');
    return track;
  } catch (error) {
    throw error instanceof DeviceError ? error : new DeviceError(troubleOf(error));
  }
}

/** A device that is chosen but gone is replaced by whichever there is. */
async function openChosen(
  deviceId: string,
  constraints: (deviceId: string) => MediaStreamConstraints,
): Promise<MediaStreamTrack> {
  try {
    return await open(constraints(deviceId));
  } catch (error) {
    if (deviceId === '' || !(error instanceof DeviceError) || error.trouble !== 'missing') throw error;
    return open(constraints(''));
  }
}

export function openCamera(deviceId: string, definition: Definition): Promise<MediaStreamTrack> {
  return openChosen(deviceId, (id) => ({ video: cameraConstraints(id, definition) }));
}

export function openMicrophone(deviceId: string): Promise<MediaStreamTrack> {
  return openChosen(deviceId, (id) => ({ audio: microphoneConstraints(id) }));
}

/** Whether this browser can share its screen at all; those of phones cannot. */
export function canShareScreen(): boolean {
  return 'mediaDevices' in navigator && 'getDisplayMedia' in navigator.mediaDevices;
}

/** Asks the user for a screen; null if they chose none. */
export async function openScreen(optimise: Optimise): Promise<MediaStream | null> {
  try {
    const stream = await navigator.mediaDevices.getDisplayMedia(screenConstraints(optimise));
    for (const track of stream.getVideoTracks()) track.contentHint = optimise === 'text' ? 'text' : 'motion';
    return stream;
  } catch (error) {
    if (troubleOf(error) === 'denied') return null;
    throw new DeviceError(troubleOf(error));
  }
}

export async function listDevices(): Promise<Devices> {
  if (!('mediaDevices' in navigator)) return NO_DEVICES;
  const all = await navigator.mediaDevices.enumerateDevices();
  const of = (kind: MediaDeviceKind): Device[] =>
    all
      .filter((device) => device.kind === kind && device.deviceId !== '')
      .map(({ deviceId, label }) => ({ id: deviceId, label }));
  return {
    cameras: of('videoinput'),
    microphones: of('audioinput'),
    speakers: 'setSinkId' in HTMLMediaElement.prototype ? of('audiooutput') : [],
  };
}

/** Calls back when a device is plugged in or out. Returns what ends that. */
export function watchDevices(changed: () => void): () => void {
  if (!('mediaDevices' in navigator)) return () => undefined;
  navigator.mediaDevices.addEventListener('devicechange', changed);
  return () => navigator.mediaDevices.removeEventListener('devicechange', changed);
}
