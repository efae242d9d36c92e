import { defineConfig } from 'vitest/config'

/**
 * The configuration of every test project. Vitest no longer loads a workspace file by itself: each script says
 * `vitest run --config vitest.workspace.ts`.
 *
 * - `unit`: next to the code, no I/O.
 * - `integration`: on real parts; each file starts a stack of its own (about a second) and leaves nothing behind.
 * - `stories`: the acceptance lines of prd.json, one file a story, one test a line.
 */
const STORIES = 'packages/credits/__tests__/stories/**/*.test.ts'

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'packages/*/src/**/*.test.{ts,tsx}',
            'apps/web/{app,lib,components}/**/*.test.{ts,tsx}',
            'scripts/**/*.test.ts',
            'bench/**/*.test.ts',
          ],
          exclude: ['**/node_modules/**', '**/__tests__/**'],
          // Properties are tried thousands of times; a busy machine must not look like a fault.
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: [
            'packages/*/__tests__/**/*.test.ts',
            'apps/web/__tests__/**/*.test.ts',
            'scripts/__tests__/**/*.test.ts',
          ],
          exclude: ['**/node_modules/**', STORIES],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          // Two cores: more stacks at once would only wait for each other.
          maxWorkers: 2,
        },
      },
      {
        test: { name: 'stories', include: [STORIES], testTimeout: 60_000, hookTimeout: 120_000, maxWorkers: 2 },
      },
    ],
  },
})
