// Sounds the app makes and hears by itself: the level of a microphone, the
// loudspeaker test, and the tones that tell of people coming and going.
//
// One AudioContext for all of it, made at the first need: browsers limit their
// number, and let one start only after the user has touched the page.

let shared: AudioContext | null = null;

function context(): AudioContext {
  shared ??= new AudioContext();
  if (shared.state === 'suspended') void shared.resume();
  return shared;
}

/** Levels below this, in dB of full scale, are drawn as nothing. */
const FLOOR_DB = -60;

/** Maps the root mean square of samples within -1..1 to 0..1 by loudness. */
export function levelOf(rms: number): number {
  if (rms <= 0) return 0;
  return Math.min(1, Math.max(0, 1 - (20 * Math.log10(rms)) / FLOOR_DB));
}

/** Tells a track's level, 0..1, about fifteen times a second. Returns what ends that. */
export function meter(track: MediaStreamTrack, tell: (level: number) => void): () => void {
  const source = context().createMediaStreamSource(new MediaStream([track]));
  const analyser = context().createAnalyser();
  analyser.fftSize = 1024;
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    tell(levelOf(Math.sqrt(power)));
  }, 66);
  return () => {
    clearInterval(timer);
    source.disconnect();
  };
}

/** One tone: hertz, when it starts and how long it lasts, in seconds. */
type Note = readonly [hertz: number, at: number, length: number];

const CHIMES: Record<'join' | 'leave' | 'test' | 'hand', readonly Note[]> = {
  join: [
    [523, 0, 0.14],
    [784, 0.11, 0.22],
  ],
  leave: [
    [784, 0, 0.14],
    [523, 0.11, 0.22],
  ],
  hand: [[880, 0, 0.25]],
  test: [
    [523, 0, 0.3],
    [659, 0.25, 0.3],
    [784, 0.5, 0.5],
  ],
};

function schedule(notes: readonly Note[], into: AudioNode, ctx: AudioContext): void {
  for (const [hertz, at, length] of notes) {
    const from = ctx.currentTime + at;
    const gain = ctx.createGain();
    gain.gain.setValueAtTime(0, from);
    gain.gain.linearRampToValueAtTime(0.12, from + 0.02);
    gain.gain.exponentialRampToValueAtTime(0.001, from + length);
    const tone = ctx.createOscillator();
    tone.frequency.value = hertz;
    tone.connect(gain).connect(into);
    tone.start(from);
    tone.stop(from + length);
  }
}

/** Plays a chime on the system's own loudspeaker. */
export function chime(which: 'join' | 'leave' | 'hand'): void {
  const ctx = context();
  schedule(CHIMES[which], ctx.destination, ctx);
}

/** Plays the loudspeaker test on the given output, empty for the system's own. */
export async function testSpeaker(speakerId: string): Promise<void> {
  const ctx = context();
  const out = ctx.createMediaStreamDestination();
  const element = new Audio();
  element.srcObject = out.stream;
  if (speakerId !== '' && 'setSinkId' in element) await element.setSinkId(speakerId);
  await element.play();
  schedule(CHIMES.test, out, ctx);
  await new Promise((done) => setTimeout(done, 1_200));
  element.pause();
  element.srcObject = null;
}
