import { defineConfig } from 'vitest/config'

/**
 * The configuration of every test project. Vitest no longer loads a workspace file by itself:
 * each script says `vitest run --config vitest.workspace.ts`.
 *
 * - `unit`: beside the code, no I/O.
 * - `edge`: the same public entry points, imported on an edge runtime.
 * - `db`: what needs the local stack; one stack per run, one database per file (see packages/credits/__tests__/setup).
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['packages/credits/src/**/*.test.ts', 'packages/local-stack/src/**/*.test.ts', 'scripts/**/*.test.ts'],
          environment: 'node',
        },
      },
    ],
  },
})
