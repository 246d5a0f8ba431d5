// The other end of the app's media connection, as a page in the same browser:
// answers its offers, shows a drawn picture as the composed view and another as
// a shared screen, plays a tone, and counts what it receives.

import type { Browser, Page } from 'playwright-core';

export class FarEnd {
  private constructor(private readonly page: Page) {}

  static async open(browser: Browser): Promise<FarEnd> {
    const page = await browser.newPage();
    await page.evaluate(prepare);
    return new FarEnd(page);
  }

  /** Answers an offer with all candidates in it. A new connection replaces the last. */
  async answer(sdp: string): Promise<string> {
    return this.page.evaluate((offer) => (window as unknown as FarEndPage).answer(offer), sdp);
  }

  /** Frames received on the camera's and the screen's m-line, and sound packets of both. */
  async received(): Promise<Record<'0' | '1' | '2' | '3', number>> {
    return this.page.evaluate(() => (window as unknown as FarEndPage).received());
  }

  async close(): Promise<void> {
    await this.page.close();
  }
}

interface FarEndPage {
  answer(offer: string): Promise<string>;
  received(): Promise<Record<'0' | '1' | '2' | '3', number>>;
}

/** Runs in the page. */
function prepare(): void {
  const names = ['Amira', 'Jonas', 'Meera', 'Room 4.12'];
  const colours = ['#35618e', '#7a4a8c', '#2f7d5b', '#a0622d'];
  const drawing = (draw: (context: CanvasRenderingContext2D, tick: number) => void) => {
    const canvas = document.createElement('canvas');
    canvas.width = 1280;
    canvas.height = 720;
    const context = canvas.getContext('2d');
    if (context === null) throw new Error('no canvas');
    let tick = 0;
    setInterval(() => draw(context, tick++), 200);
    draw(context, tick);
    return canvas.captureStream(5);
  };
  const view = drawing((context, tick) => {
    context.fillStyle = '#10181c';
    context.fillRect(0, 0, 1280, 720);
    names.forEach((name, at) => {
      const x = (at % 2) * 640 + 6;
      const y = Math.floor(at / 2) * 360 + 6;
      context.fillStyle = colours[at] ?? '#444';
      context.fillRect(x, y, 628, 348);
      context.fillStyle = 'rgb(255 255 255 / 85%)';
      context.beginPath();
      context.arc(x + 314, y + 140 + Math.sin(tick / 5 + at) * 4, 56, 0, 7);
      context.fill();
      context.beginPath();
      context.arc(x + 314, y + 330, 110, Math.PI, 0);
      context.fill();
      context.font = '24px sans-serif';
      context.fillText(name, x + 16, y + 330);
    });
  });
  const screen = drawing((context) => {
    context.fillStyle = '#ffffff';
    context.fillRect(0, 0, 1280, 720);
    context.fillStyle = '#1c2b33';
    context.font = '600 44px sans-serif';
    context.fillText('Quarterly plan', 80, 120);
    context.font = '28px sans-serif';
    ['Ship the web app', 'Screen sharing stays sharp', 'Every view by keyboard'].forEach((line, at) => {
      context.fillText(`•  ${line}`, 100, 210 + at * 60);
    });
    [220, 340, 290, 430, 520].forEach((height, at) => {
      context.fillStyle = colours[at % 4] ?? '#444';
      context.fillRect(720 + at * 90, 640 - height * 0.6, 60, height * 0.6);
    });
  });
  const audio = new AudioContext();
  const tone = audio.createOscillator();
  const out = audio.createMediaStreamDestination();
  tone.connect(out);
  tone.start();

  let pc: RTCPeerConnection | null = null;
  const page = window as unknown as FarEndPage;
  page.answer = async (offer) => {
    const fingerprint = (sdp: string | undefined) => /a=fingerprint:(.*)/.exec(sdp ?? '')?.[1];
    if (pc === null || fingerprint(pc.remoteDescription?.sdp) !== fingerprint(offer)) {
      pc?.close();
      pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
    }
    await pc.setRemoteDescription({ type: 'offer', sdp: offer });
    const tracks = [out.stream.getAudioTracks()[0], view.getVideoTracks()[0], screen.getVideoTracks()[0]];
    for (const transceiver of pc.getTransceivers()) {
      const track = tracks[Number(transceiver.mid)];
      if (track === undefined) continue;
      await transceiver.sender.replaceTrack(track);
      transceiver.direction = 'sendrecv';
    }
    await pc.setLocalDescription(await pc.createAnswer());
    const gathering = pc;
    await new Promise<void>((done) => {
      const check = () => gathering.iceGatheringState === 'complete' && done();
      gathering.onicegatheringstatechange = check;
      check();
      setTimeout(done, 1_000);
    });
    return pc.localDescription?.sdp ?? '';
  };
  page.received = async () => {
    const counts = { '0': 0, '1': 0, '2': 0, '3': 0 };
    (await pc?.getStats())?.forEach((of: { type: string; mid: '0'; framesReceived?: number; packetsReceived?: number }) => {
      if (of.type === 'inbound-rtp') counts[of.mid] += of.framesReceived ?? of.packetsReceived ?? 0;
    });
    return counts;
  };
}
