// The one RTCPeerConnection of a meeting.
//
// The app always offers, so offers never collide. The order of m-lines is the
// protocol's and made here, once, as four transceivers:
//
//   0 audio  microphone / the mix          1 video  camera / the composed view
//   2 video  screen share, both ways       3 audio  the sound of our screen
//
// The last is inactive until a screen with sound is shared for the first time: who
// sends on it is sent a mix of their own. What is sent changes by `replaceTrack`, which
// needs no new offer but for that. Offers go one at a time: one that is wanted while another
// waits for its answer is made after that.
//
// It opens no device and no socket: tracks come in, signalling goes out by
// `hooks`.

import type { ClientMessage, IceServer } from '../signalling/messages';
import { ENCODINGS, preferContentCodecs, SCREEN_BITRATE_MAX } from './encodings';

export interface Hooks {
  send(message: ClientMessage): boolean;
  /** The mix, the composed view, or the content of another. */
  received(what: 'audio' | 'video' | 'content', stream: MediaStream): void;
  /** Whether media can flow now. */
  connected(connected: boolean): void;
}

/** ICE that was connected and is not for this long gets a restart without being asked. */
const DISCONNECTED_PATIENCE_MS = 2_000;

export class Peer {
  readonly pc: RTCPeerConnection;
  private readonly microphone: RTCRtpTransceiver;
  private readonly camera: RTCRtpTransceiver;
  private readonly screen: RTCRtpTransceiver;
  private readonly screenSound: RTCRtpTransceiver;
  /** Whether an offer waits for its answer. */
  private offered = false;
  private again: { iceRestart: boolean } | null = null;
  /** Candidates that came before the description they belong to. */
  private early: RTCIceCandidateInit[] = [];
  private patience: ReturnType<typeof setTimeout> | undefined;
  /** Negotiation steps run one after the other. */
  private queue: Promise<void> = Promise.resolve();

  constructor(
    iceServers: IceServer[],
    private readonly hooks: Hooks,
  ) {
    this.pc = new RTCPeerConnection(configuration(iceServers));
    this.microphone = this.pc.addTransceiver('audio', { direction: 'sendrecv' });
    this.camera = addSimulcast(this.pc);
    this.screen = this.pc.addTransceiver('video', {
      direction: 'sendrecv',
      sendEncodings: [{ maxBitrate: SCREEN_BITRATE_MAX }],
    });
    preferContentCodecs(this.screen);
    this.screenSound = this.pc.addTransceiver('audio', { direction: 'inactive' });
    this.pc.onicecandidate = ({ candidate }) => this.tell(candidate);
    this.pc.ontrack = ({ transceiver, track }) => {
      const what = this.nameOf(transceiver);
      if (what !== null) this.hooks.received(what, new MediaStream([track]));
    };
    this.pc.onconnectionstatechange = () => this.watch();
  }

  /** Makes an offer, now or after the one that is waiting. */
  negotiate(iceRestart = false): void {
    this.enqueue(() => this.offer(iceRestart));
  }

  /**
   * Signalling works again after a break. An offer that was on its way may be
   * lost with its answer, and we may be on another network: begin that step anew,
   * with the relays' present credentials.
   */
  resumed(iceServers: IceServer[]): void {
    this.enqueue(async () => {
      this.pc.setConfiguration(configuration(iceServers));
      if (this.pc.signalingState === 'have-local-offer') await this.pc.setLocalDescription({ type: 'rollback' });
      this.offered = false;
      this.again = null;
      await this.offer(true);
    });
  }

  answer(sdp: string): void {
    this.enqueue(async () => {
      if (this.pc.signalingState !== 'have-local-offer') return;
      await this.pc.setRemoteDescription({ type: 'answer', sdp });
      this.offered = false;
      for (const candidate of this.early.splice(0)) await this.addCandidate(candidate);
      const again = this.again;
      this.again = null;
      if (again !== null) await this.offer(again.iceRestart);
    });
  }

  candidate(candidate: string, sdpMid: string): void {
    this.enqueue(async () => {
      const init = { candidate, sdpMid };
      if (this.offered || this.pc.remoteDescription === null) this.early.push(init);
      else await this.addCandidate(init);
    });
  }

  async sendSound(track: MediaStreamTrack | null): Promise<void> {
    await this.microphone.sender.replaceTrack(track);
  }

  async sendCamera(track: MediaStreamTrack | null): Promise<void> {
    await this.camera.sender.replaceTrack(track);
  }

  async sendScreen(picture: MediaStreamTrack | null, sound: MediaStreamTrack | null): Promise<void> {
    await Promise.all([this.screen.sender.replaceTrack(picture), this.screenSound.sender.replaceTrack(sound)]);
    if (sound === null || this.screenSound.direction === 'sendonly') return;
    this.screenSound.direction = 'sendonly';
    this.negotiate();
  }

  close(): void {
    clearTimeout(this.patience);
    this.pc.onicecandidate = this.pc.ontrack = this.pc.onconnectionstatechange = null;
    this.pc.close();
  }

  private nameOf(transceiver: RTCRtpTransceiver): 'audio' | 'video' | 'content' | null {
    switch (transceiver) {
      case this.microphone:
        return 'audio';
      case this.camera:
        return 'video';
      case this.screen:
        return 'content';
      default:
        return null;
    }
  }

  private enqueue(negotiation: () => Promise<void>): void {
    this.queue = this.queue.then(negotiation).catch((error: unknown) => {
      // Closed meanwhile, or a description that this browser refuses. Without
      // media the restart below comes; there is nobody to hand an error to.
      if (this.pc.signalingState !== 'closed') console.warn('negotiation failed', error);
    });
  }

  private async offer(iceRestart: boolean): Promise<void> {
    if (this.pc.signalingState === 'closed') return;
    if (this.offered) {
      this.again = { iceRestart: iceRestart || (this.again?.iceRestart ?? false) };
      return;
    }
    const offer = await this.pc.createOffer({ iceRestart });
    await this.pc.setLocalDescription(offer);
    this.offered = this.hooks.send({ type: 'offer', sdp: this.pc.localDescription?.sdp ?? '' });
  }

  private tell(candidate: RTCIceCandidate | null): void {
    // Null repeats what the empty candidate has said: that there are no more.
    if (candidate === null) return;
    this.hooks.send({
      type: 'candidate',
      candidate: candidate.candidate,
      sdpMid: candidate.sdpMid ?? '0',
      ...(candidate.usernameFragment === null ? {} : { usernameFragment: candidate.usernameFragment }),
    });
  }

  private async addCandidate(init: RTCIceCandidateInit): Promise<void> {
    try {
      await this.pc.addIceCandidate(init);
    } catch (error) {
      // One address less to try; not the end of the others.
      console.warn('candidate refused', error);
    }
  }

  private watch(): void {
    const state = this.pc.connectionState;
    clearTimeout(this.patience);
    this.hooks.connected(state === 'connected');
    if (state === 'failed') this.negotiate(true);
    if (state === 'disconnected') {
      this.patience = setTimeout(() => this.negotiate(true), DISCONNECTED_PATIENCE_MS);
    }
  }
}

function configuration(iceServers: IceServer[]): RTCConfiguration {
  return { iceServers, bundlePolicy: 'max-bundle', rtcpMuxPolicy: 'require' };
}

/** The camera's m-line, with simulcast where the browser can. */
function addSimulcast(pc: RTCPeerConnection): RTCRtpTransceiver {
  try {
    return pc.addTransceiver('video', { direction: 'sendrecv', sendEncodings: ENCODINGS.map((one) => ({ ...one })) });
  } catch {
    return pc.addTransceiver('video', { direction: 'sendrecv' });
  }
}
