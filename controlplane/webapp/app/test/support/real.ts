// What a person notices in a page: which colours are in the picture, which tones
// are in the sound. It runs in the page, in any browser.

/** The server under test and what is shown and said, as `tests/e2e/tests/webapp.rs` names them. */
export interface Meeting {
  url: string;
  callId: string;
}

export function meeting(): Meeting {
  return { url: named('PLENUM_URL'), callId: named('PLENUM_CALL_ID') };
}

/** A file that the far end of the test made for a camera or a microphone. */
export function named(variable: string): string {
  const value = process.env[variable];
  if (value === undefined) throw new Error(`${variable} is not set; run this by cargo test --test webapp`);
  return value;
}

export type Rgb = [number, number, number];

/** Share of the picture in a `video` element that is of this colour, 0 to 1. */
export function shareOf({ selector, colour }: { selector: string; colour: Rgb }): number {
  const video = document.querySelector<HTMLVideoElement>(selector);
  if (video === null || video.videoWidth === 0) return 0;
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [160, 90];
  const context = canvas.getContext('2d');
  if (context === null) return 0;
  context.drawImage(video, 0, 0, canvas.width, canvas.height);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let alike = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (colour.every((value, channel) => Math.abs(value - (data[at + channel] ?? 0)) < 60)) alike += 1;
  }
  return alike / (data.length / 4);
}

/** Level of each tone in what the page plays now, dB; -200 where nothing plays. */
export async function levelsOf(tones: number[]): Promise<number[]> {
  const audio = document.querySelector('audio');
  if (!(audio?.srcObject instanceof MediaStream)) return tones.map(() => -200);
  const page = window as unknown as { ear?: AnalyserNode };
  if (page.ear === undefined) {
    const context = new AudioContext();
    page.ear = context.createAnalyser();
    page.ear.fftSize = 32_768;
    page.ear.smoothingTimeConstant = 0;
    context.createMediaStreamSource(audio.srcObject).connect(page.ear);
  }
  // As long as one look at the spectrum takes.
  await new Promise((done) => setTimeout(done, 700));
  const { ear } = page;
  const bins = new Float32Array(ear.frequencyBinCount);
  ear.getFloatFrequencyData(bins);
  return tones.map((hz) => {
    const at = Math.round((hz * ear.fftSize) / ear.context.sampleRate);
    const level = Math.max(...bins.slice(at - 2, at + 3));
    return Number.isFinite(level) ? level : -200;
  });
}
