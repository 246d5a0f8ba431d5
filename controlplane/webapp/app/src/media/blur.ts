// A camera's picture with the background blurred, made in this browser.
//
// A small neural network (MediaPipe's selfie segmentation, WebAssembly and WebGL)
// says for each pixel whether it is the person; the rest is drawn blurred. Its
// files are part of this app and loaded, from our own server, at the first use:
// no picture and no request goes anywhere else.
//
// The library is a classic script that puts one name on `window`, and asks for
// its other files by their plain names; `FILES` leads those to the built ones.

import type { SelfieSegmentation } from '@mediapipe/selfie_segmentation';
import graphUrl from '@mediapipe/selfie_segmentation/selfie_segmentation.binarypb?url';
import scriptUrl from '@mediapipe/selfie_segmentation/selfie_segmentation.js?url';
import modelUrl from '@mediapipe/selfie_segmentation/selfie_segmentation_landscape.tflite?url';
import loaderUrl from '@mediapipe/selfie_segmentation/selfie_segmentation_solution_simd_wasm_bin.js?url';
import wasmUrl from '@mediapipe/selfie_segmentation/selfie_segmentation_solution_simd_wasm_bin.wasm?url';
import type { BlurredCamera } from '../state/localMedia';

const FILES: Readonly<Record<string, string>> = {
  'selfie_segmentation.binarypb': graphUrl,
  'selfie_segmentation_landscape.tflite': modelUrl,
  'selfie_segmentation_solution_simd_wasm_bin.js': loaderUrl,
  'selfie_segmentation_solution_simd_wasm_bin.wasm': wasmUrl,
};

/** The library's name for the model of pictures that are wider than high. */
const LANDSCAPE = 1;
const FRAMES_PER_SECOND = 25;
/** The background is drawn this many times smaller and back: that is the blur. */
const SHRINK = 24;
/** Loading takes seconds on a slow line; longer than this is a failure. */
const LOADING_MS = 30_000;

declare global {
  interface Window {
    SelfieSegmentation?: typeof SelfieSegmentation;
  }
}

let script: Promise<typeof SelfieSegmentation> | null = null;

function loadScript(): Promise<typeof SelfieSegmentation> {
  script ??= new Promise((done, fail) => {
    const element = document.createElement('script');
    element.src = scriptUrl;
    element.onload = () => (window.SelfieSegmentation ? done(window.SelfieSegmentation) : fail(new Error('no segmentation')));
    element.onerror = () => fail(new Error('segmentation was not loaded'));
    document.head.append(element);
  });
  return script;
}

function within<T>(work: Promise<T>, limitMs: number): Promise<T> {
  return Promise.race([
    work,
    new Promise<T>((_, fail) => setTimeout(() => fail(new Error('segmentation does not start')), limitMs)),
  ]);
}

function surface(width: number, height: number): [HTMLCanvasElement, CanvasRenderingContext2D] {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('no canvas');
  return [canvas, context];
}

/** Blurs what is behind the person in front of `camera`, until it is stopped. */
export async function blurBackground(camera: MediaStreamTrack): Promise<BlurredCamera> {
  const Segmentation = await loadScript();
  const { width = 1280, height = 720 } = camera.getSettings();
  const video = document.createElement('video');
  video.muted = true;
  video.playsInline = true;
  video.srcObject = new MediaStream([camera]);
  await video.play();

  const [canvas, context] = surface(width, height);
  const [small, smallContext] = surface(Math.ceil(width / SHRINK), Math.ceil(height / SHRINK));
  const segmentation = new Segmentation({ locateFile: (name) => FILES[name] ?? name });
  segmentation.setOptions({ modelSelection: LANDSCAPE });
  segmentation.onResults(({ image, segmentationMask }) => {
    smallContext.drawImage(image, 0, 0, small.width, small.height);
    context.globalCompositeOperation = 'copy';
    context.drawImage(segmentationMask, 0, 0, width, height);
    context.globalCompositeOperation = 'source-in';
    context.drawImage(image, 0, 0, width, height);
    context.globalCompositeOperation = 'destination-over';
    context.imageSmoothingQuality = 'high';
    context.drawImage(small, 0, 0, width, height);
  });
  // The first picture starts the machinery: an error here is an answer.
  await within(segmentation.send({ image: video }), LOADING_MS);

  const [track] = canvas.captureStream(FRAMES_PER_SECOND).getVideoTracks();
  if (track === undefined) throw new Error('no picture');
  let stopped = false;
  const next = async (): Promise<void> => {
    if (stopped) return;
    const startedMs = performance.now();
    await segmentation.send({ image: video });
    const spareMs = 1000 / FRAMES_PER_SECOND - (performance.now() - startedMs);
    setTimeout(() => void next(), Math.max(0, spareMs));
  };
  void next();
  return {
    track,
    stop: () => {
      stopped = true;
      track.stop();
      video.srcObject = null;
      void segmentation.close();
    },
  };
}
