// This device's microphone and camera: what is open, what could not be and why.
//
// A microphone that is off stays open, silenced, so that it is on again at once;
// a camera that is off is closed, so that its light goes out. Changes of the
// camera run one after the other, and only the newest wish counts.

import { DeviceError, listDevices, NO_DEVICES, openCamera, openMicrophone, watchDevices, type Devices, type DeviceTrouble } from '../media/devices';
import { Store } from './store';
import type { Preferences } from './preferences';

export interface LocalState {
  microphone: MediaStreamTrack | null;
  microphoneTrouble: DeviceTrouble | null;
  /** What is sent and shown: the camera itself, or with its background blurred. */
  camera: MediaStreamTrack | null;
  cameraTrouble: DeviceTrouble | null;
  /** Blur was asked for and cannot be had on this device. */
  blurTrouble: boolean;
  devices: Devices;
}

/** Puts a blurred background behind a camera's picture; see `media/blur.ts`. */
export interface BlurredCamera {
  track: MediaStreamTrack;
  stop(): void;
}

export type Blur = (camera: MediaStreamTrack) => Promise<BlurredCamera>;

function troubleOf(error: unknown): DeviceTrouble {
  return error instanceof DeviceError ? error.trouble : 'busy';
}

export class LocalMedia {
  readonly state = new Store<LocalState>({
    microphone: null,
    microphoneTrouble: null,
    camera: null,
    cameraTrouble: null,
    blurTrouble: false,
    devices: NO_DEVICES,
  });
  private rawCamera: MediaStreamTrack | null = null;
  private blurred: BlurredCamera | null = null;
  private cameraWork: Promise<void> = Promise.resolve();
  private cameraWish = 0;
  private microphoneWish = 0;
  private readonly unwatch: () => void;
  private readonly unsubscribe: () => void;

  constructor(
    private readonly preferences: Store<Preferences>,
    private readonly blur: Blur,
  ) {
    this.unwatch = watchDevices(() => void this.refreshDevices());
    let before = preferences.get();
    this.unsubscribe = preferences.subscribe(() => {
      const now = preferences.get();
      if (now.microphoneId !== before.microphoneId) void this.openMicrophone(true);
      else if (now.microphoneOn !== before.microphoneOn) void this.openMicrophone(false);
      const cameraChanged = (['cameraId', 'cameraOn', 'definition', 'blur'] as const).some((key) => now[key] !== before[key]);
      if (cameraChanged) this.applyCamera();
      before = now;
    });
  }

  /** Opens what the preferences say. Asks the user for leave, once for each kind. */
  async start(): Promise<void> {
    await this.refreshDevices();
    await this.openMicrophone(false);
    this.applyCamera();
    await this.cameraWork;
  }

  /** Closes everything; lights go out. */
  stop(): void {
    this.microphoneWish += 1;
    this.cameraWish += 1;
    this.state.get().microphone?.stop();
    this.closeCamera();
    this.change({ microphone: null });
  }

  dispose(): void {
    this.stop();
    this.unwatch();
    this.unsubscribe();
  }

  private change(part: Partial<LocalState>): void {
    this.state.update((state) => ({ ...state, ...part }));
  }

  private async refreshDevices(): Promise<void> {
    this.change({ devices: await listDevices() });
  }

  private async openMicrophone(anew: boolean): Promise<void> {
    const wish = (this.microphoneWish += 1);
    const { microphoneOn, microphoneId } = this.preferences.get();
    const open = this.state.get().microphone;
    if (open !== null && open.readyState === 'live' && !anew) {
      open.enabled = microphoneOn;
      return;
    }
    if (!microphoneOn && open === null) return;
    try {
      const track = await openMicrophone(microphoneId);
      if (wish !== this.microphoneWish) {
        track.stop();
        return;
      }
      open?.stop();
      track.enabled = this.preferences.get().microphoneOn;
      track.onended = () => this.change({ microphone: null, microphoneTrouble: 'missing' });
      this.change({ microphone: track, microphoneTrouble: null });
      await this.refreshDevices();
    } catch (error) {
      if (wish === this.microphoneWish) this.change({ microphoneTrouble: troubleOf(error) });
    }
  }

  private applyCamera(): void {
    const wish = (this.cameraWish += 1);
    this.cameraWork = this.cameraWork.then(async () => {
      if (wish !== this.cameraWish) return;
      const { cameraOn, cameraId, definition, blur } = this.preferences.get();
      this.closeCamera();
      if (!cameraOn) {
        this.change({ cameraTrouble: null });
        return;
      }
      try {
        const raw = await openCamera(cameraId, definition);
        this.rawCamera = raw;
        raw.onended = () => {
          this.closeCamera();
          this.change({ cameraTrouble: 'missing' });
        };
        this.change({ camera: blur ? await this.blurOf(raw) : raw, cameraTrouble: null });
        await this.refreshDevices();
      } catch (error) {
        this.change({ cameraTrouble: troubleOf(error) });
      }
      if (wish !== this.cameraWish) this.closeCamera();
    });
  }

  /** Without blur nothing is shown: who asked for it does not want to be seen without. */
  private async blurOf(raw: MediaStreamTrack): Promise<MediaStreamTrack | null> {
    try {
      this.blurred = await this.blur(raw);
      this.change({ blurTrouble: false });
      return this.blurred.track;
    } catch (error) {
      console.warn('no background blur', error);
      raw.stop();
      this.change({ blurTrouble: true });
      return null;
    }
  }

  private closeCamera(): void {
    this.blurred?.stop();
    this.blurred = null;
    if (this.rawCamera !== null) {
      this.rawCamera.onended = null;
      this.rawCamera.stop();
      this.rawCamera = null;
    }
    this.change({ camera: null });
  }
}
