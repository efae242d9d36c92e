import { defineConfig } from 'vitest/config'

/** What needs a running stack: each file starts its own, on free ports and in a temporary folder. */
export default defineConfig({
  test: {
    name: 'local-stack',
    root: import.meta.dirname,
    include: ['__tests__/**/*.test.ts'],
    environment: 'node',
    testTimeout: 30_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
})
