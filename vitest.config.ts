import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

export default defineConfig({
  resolve: {
    // The sources and not dist/: tests never run on a stale build.
    alias: {
      '@switchback/migrations-registry': source('./migrations-registry/src/index.ts'),
      '@switchback/sdk/parts': source('./sdk/src/parts.ts'),
      '@switchback/sdk': source('./sdk/src/index.ts'),
      '@switchback/server/protocol': source('./server/src/protocol.ts'),
      '@switchback/server': source('./server/src/index.ts'),
      '@switchback/test/support': source('./test/support/index.ts'),
    },
  },
  test: {
    include: ['*/src/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    globalSetup: ['test/support/global-setup.ts'],
    reporters: ['default', ['json', { outputFile: '.cache/vitest.json' }]],
    pool: 'forks',
    maxWorkers: 2,
    retry: 0,
    // Limits for what hangs; nothing is measured by them.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
  },
})
