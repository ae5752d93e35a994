import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  plugins: [react()],
  build: { sourcemap: false, assetsInlineLimit: 0, chunkSizeWarningLimit: 800 },
  // `npm run dev` serves the console alone and passes calls on to the Kaiwa that `make dev` runs.
  server: { proxy: { '/api': 'http://127.0.0.1:8080' } },
  test: { include: ['src/**/*.test.ts'] },
})
