import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

export default defineConfig({
  plugins: [react()],
  build: {
    target: 'es2022',
    // Inlined images would be inline content.
    assetsInlineLimit: 0,
    emptyOutDir: true,
    // Its size is a test, measured as it is sent.
    chunkSizeWarningLimit: 1_000,
    modulePreload: { polyfill: false },
  },
  server: {
    // `npm run dev` beside a server at its usual address.
    proxy: { '/v1': 'http://127.0.0.1:7410', '/socket.io': { target: 'http://127.0.0.1:7410', ws: true } },
  },
})
