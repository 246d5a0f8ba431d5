// Writes a brotli and a gzip copy beside each built file that gets smaller by it,
// so that the server never compresses.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';

/** A copy that saves less than this share is not worth its bytes. */
const SAVES_AT_LEAST = 0.03;

function* filesIn(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesIn(path);
    else yield path;
  }
}

export function compress(): Plugin {
  let folder = '';
  return {
    name: 'plenum-compress',
    apply: 'build',
    configResolved: (config) => {
      folder = config.build.outDir;
    },
    closeBundle: () => {
      for (const path of [...filesIn(folder)]) {
        const bytes = readFileSync(path);
        const copies = {
          br: brotliCompressSync(bytes, {
            params: {
              // The best quality takes seconds for a megabyte of WebAssembly.
              [constants.BROTLI_PARAM_QUALITY]: bytes.length > 1_000_000 ? 9 : 11,
              [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
            },
          }),
          gz: gzipSync(bytes, { level: 9 }),
        };
        for (const [suffix, copy] of Object.entries(copies)) {
          if (copy.length < bytes.length * (1 - SAVES_AT_LEAST)) writeFileSync(`${path}.${suffix}`, copy);
        }
      }
    },
  };
}
