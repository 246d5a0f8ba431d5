// One participation in a meeting, from the call access token to the end: puts
// signalling, media and this device together, and is what the interface calls.
//
// After a break the server is told again what it may have missed: whether we are
// muted, what we share, chat that it has not acknowledged.

import type { EndReason } from '../signalling/connection';
import { openWebSocket, SignallingClient } from '../signalling/client';
import type { ChatMessage, ClientMessage, IceServer, ServerMessage, Welcome } from '../signalling/messages';
import { openScreen } from '../media/devices';
import { Peer } from '../media/peer';
import { qualityOf, steady, STEADY_AT_FIRST, type Steady } from '../media/quality';
import { reportOf, sampleOf, type Report, type Sample } from '../media/stats';
import type { LocalMedia } from './localMedia';
import { entered, heard, type Happening, type Meeting } from './meeting';
import type { Preferences } from './preferences';
import { Store } from './store';

/** How often statistics are taken. */
const SAMPLE_EVERY_MS = 2_000;

export interface SessionState {
  /** `joining` until the first welcome; `reconnecting` is a break that is being mended. */
  at: 'joining' | 'live' | 'reconnecting' | 'ended';
  endReason: EndReason | null;
  meeting: Meeting | null;
  /** When we came in, by this device's clock. */
  sinceMs: number | null;
  /** Whether packets can flow. */
  mediaConnected: boolean;
  streams: { audio: MediaStream | null; video: MediaStream | null; content: MediaStream | null };
  /** The screen we share. */
  screen: MediaStream | null;
  /** Chat that is on its way. */
  pending: ChatMessage[];
  sample: Sample | null;
  quality: Steady;
}

export interface Surroundings {
  local: LocalMedia;
  preferences: Store<Preferences>;
  /** Only to control the meeting and share into it: sound and picture are elsewhere. */
  companion: boolean;
}

const AT_FIRST: SessionState = {
  at: 'joining',
  endReason: null,
  meeting: null,
  sinceMs: null,
  mediaConnected: false,
  streams: { audio: null, video: null, content: null },
  screen: null,
  pending: [],
  sample: null,
  quality: STEADY_AT_FIRST,
};

/** Begins with its making: make one where something has happened, never while rendering. */
export class Session {
  readonly state = new Store<SessionState>(AT_FIRST);
  private readonly client: SignallingClient;
  private peer: Peer | null = null;
  private report: Report | null = null;
  private readonly sampling: ReturnType<typeof setInterval>;
  private readonly endings: (() => void)[] = [];
  private chatNumber = 0;
  private readonly listeners = new Set<(happening: Happening) => void>();

  constructor(
    token: string,
    readonly around: Surroundings,
  ) {
    this.client = new SignallingClient(openWebSocket, token, {
      message: (message) => this.onMessage(message),
      connection: (connection) => {
        if (connection.at === 'ended') this.end(connection.reason);
        else if (connection.at !== 'open' && this.state.get().at === 'live') this.change({ at: 'reconnecting' });
      },
    });
    this.sampling = setInterval(() => void this.takeSample(), SAMPLE_EVERY_MS);
    this.endings.push(around.local.state.subscribe(() => void this.sendDevices()), this.watchNetwork());
    let before = around.preferences.get();
    this.endings.push(
      around.preferences.subscribe(() => {
        const now = around.preferences.get();
        if (!around.companion && now.microphoneOn !== before.microphoneOn) this.tellMuted();
        if (!around.companion && now.cameraOn !== before.cameraOn) this.send({ type: 'mute', video: !now.cameraOn });
        before = now;
      }),
    );
  }

  /** Calls back with what happens in the meeting. Returns what ends that. */
  listen(listener: (happening: Happening) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  leave(): void {
    this.client.leave();
  }

  setMicrophone(on: boolean): void {
    this.around.preferences.update((of) => ({ ...of, microphoneOn: on }));
  }

  setCamera(on: boolean): void {
    this.around.preferences.update((of) => ({ ...of, cameraOn: on }));
  }

  setLayout(layout: string): void {
    this.send({ type: 'layout', layout });
  }

  raiseHand(raised: boolean): void {
    this.send({ type: 'raiseHand', raised });
    this.changeMeeting((meeting) => ({ ...meeting, handRaised: raised }));
  }

  muteOther(participantId: string, audio: boolean): void {
    this.send({ type: 'muteOther', participantId, audio });
  }

  muteAll(): void {
    this.send({ type: 'muteAll' });
  }

  remove(participantId: string): void {
    this.send({ type: 'remove', participantId });
  }

  addParticipant(uri: string): void {
    this.send({ type: 'addParticipant', uri });
  }

  chat(text: string, to: string | null): void {
    const { meeting } = this.state.get();
    if (meeting === null) return;
    this.chatNumber += 1;
    const id = `${Date.now().toString(36)}-${this.chatNumber}`;
    const name = meeting.roster.find((one) => one.id === meeting.selfId)?.name ?? '';
    const message = { id, from: meeting.selfId, name, text, to, atMs: Date.now() };
    this.change({ pending: [...this.state.get().pending, message] });
    this.send({ type: 'chat', id, text, to });
  }

  /** Asks the user for a screen and shares it. Throws a `DeviceError` if the browser cannot. */
  async share(): Promise<void> {
    const screen = await openScreen(this.around.preferences.get().optimise);
    const track = screen?.getVideoTracks()[0];
    if (screen === null || track === undefined) return;
    if (this.state.get().at === 'ended') {
      stopAll(screen);
      return;
    }
    track.addEventListener('ended', () => void this.stopSharing());
    this.change({ screen });
    this.send({ type: 'content', sharing: true });
    await this.sendDevices();
  }

  async stopSharing(): Promise<void> {
    const { screen } = this.state.get();
    if (screen === null) return;
    stopAll(screen);
    this.change({ screen: null });
    this.send({ type: 'content', sharing: false });
    await this.sendDevices();
  }

  private send(message: ClientMessage): boolean {
    return this.client.send(message);
  }

  private change(part: Partial<SessionState>): void {
    this.state.update((state) => ({ ...state, ...part }));
  }

  private changeMeeting(change: (meeting: Meeting) => Meeting): void {
    const { meeting } = this.state.get();
    if (meeting !== null) this.change({ meeting: change(meeting) });
  }

  private onMessage(message: ServerMessage): void {
    const { meeting } = this.state.get();
    if (meeting !== null) {
      const { meeting: after, happenings } = heard(meeting, message);
      this.change({ meeting: after });
      for (const happening of happenings) for (const listener of this.listeners) listener(happening);
    }
    switch (message.type) {
      case 'welcome':
        this.welcomed(message);
        break;
      case 'answer':
        this.peer?.answer(message.sdp);
        break;
      case 'candidate':
        this.peer?.candidate(message.candidate, message.sdpMid);
        break;
      case 'reoffer':
        this.peer?.negotiate(message.iceRestart);
        break;
      case 'muted':
        this.muted(message);
        break;
      case 'content':
        // One shares at a time, and the newest does.
        if (message.participantId !== null && message.participantId !== meeting?.selfId) void this.stopSharing();
        break;
      case 'chat':
        this.acknowledge(message.id);
        break;
      case 'error':
        if (message.about === 'content') void this.stopSharing();
        if (message.about === 'chat') this.change({ pending: this.state.get().pending.slice(1) });
        break;
      default:
        break;
    }
  }

  private welcomed(welcome: Welcome): void {
    const { sinceMs, meeting, screen, pending } = this.state.get();
    this.change({ at: 'live', sinceMs: sinceMs ?? Date.now(), meeting: meeting ?? entered(welcome) });
    // Muted by somebody or on entry: so we are. Muted by ourselves: so we stay.
    const { microphoneOn, cameraOn } = this.around.preferences.get();
    if (!this.around.companion && welcome.audioMuted && microphoneOn) this.setMicrophone(false);
    else this.send({ type: 'mute', audio: this.isMuted(), video: this.around.companion || !cameraOn });
    for (const message of pending) {
      if (!welcome.chat.some((one) => one.id === message.id)) {
        this.send({ type: 'chat', id: message.id, text: message.text, to: message.to });
      } else this.acknowledge(message.id);
    }
    if (screen !== null) this.send({ type: 'content', sharing: true });
    if (this.peer !== null && welcome.resumed) this.peer.resumed(welcome.iceServers);
    else this.connectMedia(welcome.iceServers);
  }

  /** A new connection: for the first time, or because the server knows nothing of the old one. */
  private connectMedia(iceServers: IceServer[]): void {
    this.peer?.close();
    this.report = null;
    const peer = new Peer(iceServers, {
      send: (message) => this.send(message),
      received: (what, stream) => {
        if (this.around.companion && what !== 'content') return;
        this.change({ streams: { ...this.state.get().streams, [what]: stream } });
      },
      connected: (mediaConnected) => this.change({ mediaConnected }),
    });
    this.peer = peer;
    void this.sendDevices().then(() => peer.negotiate());
  }

  /** Whether the microphone is silent; a shared screen's sound is no matter of that. */
  private isMuted(): boolean {
    return this.around.companion || !this.around.preferences.get().microphoneOn;
  }

  private tellMuted(): void {
    this.send({ type: 'mute', audio: this.isMuted() });
  }

  private async sendDevices(): Promise<void> {
    const { peer } = this;
    if (peer === null) return;
    const { microphone, camera } = this.around.companion ? NO_DEVICES : this.around.local.state.get();
    const { screen } = this.state.get();
    const [picture, sound] = [screen?.getVideoTracks()[0], screen?.getAudioTracks()[0]];
    try {
      await Promise.all([
        peer.sendSound(microphone),
        peer.sendCamera(camera),
        peer.sendScreen(picture ?? null, sound ?? null),
      ]);
    } catch (error) {
      // The connection was closed meanwhile; its successor is told again.
      console.warn('tracks not replaced', error);
    }
  }

  private muted(message: ServerMessage & { type: 'muted' }): void {
    if (!message.byOther) return;
    const { microphoneOn, cameraOn } = this.around.preferences.get();
    if (message.audioMuted && microphoneOn) this.setMicrophone(false);
    if (message.videoMuted && cameraOn) this.setCamera(false);
    // Nobody but oneself opens a microphone: being unmuted by another is a question.
    if (!message.audioMuted && !microphoneOn) this.tellMuted();
  }

  private acknowledge(id: string): void {
    const { pending } = this.state.get();
    if (pending.some((one) => one.id === id)) this.change({ pending: pending.filter((one) => one.id !== id) });
  }

  private async takeSample(): Promise<void> {
    if (this.peer === null || !this.state.get().mediaConnected) return;
    const report = reportOf(await this.peer.pc.getStats());
    const sample = sampleOf(report, this.report);
    this.report = report;
    if (this.state.get().at !== 'ended') {
      this.change({ sample, quality: steady(this.state.get().quality, qualityOf(sample)) });
    }
  }

  private watchNetwork(): () => void {
    const changed = () => this.client.networkChanged();
    window.addEventListener('online', changed);
    // Tells of every new estimate of the rate too; only another kind of network matters.
    const link = (navigator as Navigator & { connection?: EventTarget & { type?: string } }).connection;
    let type = link?.type;
    const linkChanged = () => {
      if (link?.type !== type && link?.type !== 'none') changed();
      type = link?.type;
    };
    link?.addEventListener('change', linkChanged);
    return () => {
      window.removeEventListener('online', changed);
      link?.removeEventListener('change', linkChanged);
    };
  }

  private end(reason: EndReason): void {
    clearInterval(this.sampling);
    for (const ending of this.endings.splice(0)) ending();
    const { screen } = this.state.get();
    if (screen !== null) stopAll(screen);
    this.peer?.close();
    this.peer = null;
    this.change({ at: 'ended', endReason: reason, screen: null, mediaConnected: false, streams: AT_FIRST.streams });
  }
}

/** What somebody sends whose devices are elsewhere. */
const NO_DEVICES = { microphone: null, camera: null };

function stopAll(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}
