import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { generateText } from 'ai'
import { beforeAll, describe, expect, it } from 'vitest'
import { withCredits } from '../../src/ai/index.ts'
import { createCredits } from '../../src/index.ts'
import type { CreditStore } from '../../src/store/port.ts'
import { finish, provider, textParts } from './scripted-model.ts'
import { testAccount } from './test-account.ts'

const SOURCE = fileURLToPath(new URL('../../src/', import.meta.url))
/** Files that a wrapped call may pass on its way to the store and back. */
const MOST_FILES = 20

/** Our files on the stack, the outermost first. A file that calls itself stands there once. */
function filesOnStack(): string[] {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 200
  const { stack = '' } = new Error('stack')
  Error.stackTraceLimit = limit
  const files = [...stack.matchAll(/\(?((?:file:\/\/)?\/[^\s():]+\.ts):\d+:\d+/g)]
    .map(([, path = '']) => (path.startsWith('file:') ? fileURLToPath(path) : path))
    .filter((path) => path.startsWith(SOURCE))
    .map((path) => relative(SOURCE, path).replaceAll(sep, '/'))
    .reverse()
  return files.filter((file, place) => file !== files[place - 1])
}

/** The way from the wrapped function to each of these moments. */
async function pathsOfACall(): Promise<Record<string, string[]>> {
  const { store, context } = testAccount()
  const paths: Record<string, string[]> = {}
  const note = <Arguments extends unknown[], Result>(name: string, fn: (...args: Arguments) => Result) => {
    return (...args: Arguments): Result => {
      paths[name] = filesOnStack()
      return fn(...args)
    }
  }
  const watched: CreditStore = {
    ...store,
    reserve: note('store.reserve', store.reserve),
    settle: note('store.settle', store.settle),
  }
  const own = createCredits({ store: watched })
  // The stack of an operation ends where it was not awaited, so its own beginning is noted as well.
  const credits = {
    ...own,
    reserve: note('credits.reserve', own.reserve),
    price: note('credits.price', own.price),
    settle: note('credits.settle', own.settle),
  }
  const { model } = provider([{ parts: [...textParts(5), finish('stop', 100, 5)] }])
  const { doGenerate } = model
  model.doGenerate = note('provider', doGenerate.bind(model))
  await withCredits(generateText, { ...context, credits })({ model, prompt: 'Hello' })
  return paths
}

describe('the path of a wrapped call from its entry to the store and back', () => {
  let paths: Record<string, string[]>
  beforeAll(async () => {
    await pathsOfACall()
    paths = await pathsOfACall()
  })

  it('is seen at each of its stations', () => {
    expect(Object.keys(paths).sort()).toEqual([
      'credits.price',
      'credits.reserve',
      'credits.settle',
      'provider',
      'store.reserve',
      'store.settle',
    ])
    for (const name of ['credits.reserve', 'credits.settle', 'provider']) {
      expect(paths[name]?.[0], name).toBe('ai/with-credits.ts')
    }
  })

  it(`passes at most ${MOST_FILES} files`, () => {
    const files = new Set(Object.values(paths).flat())
    expect([...files].sort().length, [...files].sort().join('\n')).toBeLessThanOrEqual(MOST_FILES)
  })

  it('enters no file twice from above', () => {
    for (const [name, files] of Object.entries(paths)) {
      const again = files.filter((file, place) => files.indexOf(file) !== place)
      expect(again, `${name}: ${files.join(' > ')}`).toEqual([])
    }
  })
})

describe('the files of ai/', () => {
  const root = join(SOURCE, 'ai')
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))

  /** Files of ai/ that a file imports, types included. */
  function importsOf(file: string): string[] {
    const text = readFileSync(join(root, file), 'utf8')
    return [...text.matchAll(/from '(\.[^']+\.ts)'/g)]
      .map(([, path = '']) => relative(root, join(root, dirname(file), path)))
      .filter((path) => !path.startsWith('..'))
  }

  it('import each other without a cycle, types included', () => {
    const graph = new Map(files.map((file) => [file, importsOf(file)]))
    const cycles: string[] = []
    const visit = (file: string, path: readonly string[], done: Set<string>) => {
      if (path.includes(file)) return void cycles.push([...path.slice(path.indexOf(file)), file].join(' > '))
      if (done.has(file)) return
      done.add(file)
      for (const next of graph.get(file) ?? []) visit(next, [...path, file], done)
    }
    const done = new Set<string>()
    for (const file of files) visit(file, [], done)
    expect(files.length).toBeGreaterThan(30)
    expect(cycles).toEqual([])
  })
})
