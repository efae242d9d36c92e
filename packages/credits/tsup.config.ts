import { defineConfig, type Options } from 'tsup'

// Neutral: an import of `node:` outside the command line fails the build, so everything else runs on the edge.
const shared: Options = {
  format: 'esm',
  target: 'es2023',
  platform: 'neutral',
  outDir: 'dist',
  removeNodeProtocol: false,
  sourcemap: true,
}

// Declarations come from tsc (see tsconfig.build.json): tsup cannot make them with TypeScript 7.
export default defineConfig([
  {
    ...shared,
    entry: {
      index: 'src/index.ts',
      'testing/index': 'src/testing/index.ts',
      'ai/index': 'src/ai/index.ts',
      'http/index': 'src/http/index.ts',
      'store/index': 'src/store/index.ts',
      'store/postgres': 'src/store/postgres.ts',
      'store/supabase': 'src/store/supabase.ts',
    },
  },
  // Its hooks run in the browser only, and the directive must stand at the top of the file.
  { ...shared, entry: { 'react/index': 'src/react/index.ts' }, splitting: false, banner: { js: "'use client'" } },
  { ...shared, entry: { 'cli/main': 'src/cli/main.ts' }, splitting: false, platform: 'node' },
])
