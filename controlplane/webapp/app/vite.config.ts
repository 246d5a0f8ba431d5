import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';
import { compress } from './compress';

export default defineConfig({
  plugins: [react(), compress()],
  build: {
    target: 'es2022',
    // The policy allows no data: scripts or styles, and small files compress well.
    assetsInlineLimit: 0,
    // Every browser of the last years preloads modules by itself.
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 600,
  },
  server: {
    // `npm run dev` beside a running server.
    proxy: { '/api': { target: 'https://127.0.0.1:443', secure: false, ws: true } },
  },
  test: {
    environment: 'node',
    // One browser at a time: what is drawn and heard takes time.
    fileParallelism: false,
    projects: [
      { extends: true, test: { name: 'unit', include: ['src/**/*.test.ts'] } },
      {
        extends: true,
        test: {
          name: 'ui',
          include: ['test/ui/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
      // Against a server that runs: `tests/e2e/tests/webapp.rs` starts it and says where.
      {
        extends: true,
        test: {
          name: 'real',
          include: ['test/real/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
