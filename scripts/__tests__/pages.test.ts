import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { root } from '../lib/paths.ts'

const read = (page: string): string => readFileSync(join(root, page), 'utf8')

/** Paths in backticks that name a file or folder of the repository, from its root or from `packages/credits/src`. */
function missingPaths(page: string): string[] {
  const named = [...read(page).matchAll(/`([a-z][\w./*-]*(?:\.(?:ts|md|json|sql)|\/))`/gi)].map(([, path = '']) => path)
  const folders = ['', 'packages/credits', 'packages/credits/src']
  const found = (path: string) =>
    folders.some((folder) => existsSync(join(root, folder, path)) || globSync(join(folder, path), { cwd: root }).length)
  return named.filter((path) => path !== 'prd.json' && !/[<>]/.test(path) && !found(path))
}

it.each(['AGENTS.md', 'docs/architecture.md', 'docs/decisions.md', 'CONTRIBUTING.md', 'docs/scale.md'])(
  'every file that %s names exists',
  (page) => {
    expect(missingPaths(page)).toEqual([])
  },
)

it('AGENTS.md has at most 120 lines', () => {
  expect(read('AGENTS.md').split('\n').length).toBeLessThanOrEqual(120)
})

it('AGENTS.md and the architecture lead from an aborted stream to its charge in four steps that exist', () => {
  const steps = ['meter/stream.ts', 'meter/provider-call.ts', 'charge/price-call.ts', 'call-session.ts']
  for (const page of ['AGENTS.md', 'docs/architecture.md'])
    for (const step of steps) expect(read(page), page).toContain(`ai/${step}`)
  const calls = [
    ['meter/stream.ts', '#call.lose('],
    ['meter/provider-call.ts', 'priceCall('],
    ['meter/provider-call.ts', 'session.record('],
    ['call-session.ts', 'record('],
  ] as const
  for (const [step, call] of calls) expect(read(`packages/credits/src/ai/${step}`), step).toContain(call)
})
