import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'

const source = join(import.meta.dirname, '../../src')
const MOST_TYPES_OF_THE_ROOT = 40

/** The entries of the package, by subpath. `./next` is `./http`. */
const ENTRIES = {
  '.': 'index.ts',
  './ai': 'ai/index.ts',
  './http': 'http/index.ts',
  './postgres': 'store/postgres.ts',
  './react': 'react/index.ts',
  './store': 'store/index.ts',
  './supabase': 'store/supabase.ts',
  './testing': 'testing/index.ts',
}

interface ExportedName {
  name: string
  isType: boolean
  /** The file that it is exported from, or null when the entry declares it. */
  from: string | null
}

const read = (file: string): string => readFileSync(join(source, file), 'utf8')

const LISTS = /^export (type )?\{([^}]*)\}(?: from '([^']+)')?/gm
const DECLARATIONS = /^export (?:declare )?(?:async )?(function|const|class|interface|type) (\w+)/gm

/** Everything that a file exports by name. */
function exportsOf(file: string): ExportedName[] {
  const text = read(file)
  const listed = [...text.matchAll(LISTS)].flatMap(([, allTypes, list = '', from]) =>
    list
      .split(',')
      .map((entry) => entry.trim())
      .filter((entry) => entry !== '')
      .map((entry) => ({
        name: entry.replace(/^type /, '').replace(/^.* as /, ''),
        isType: allTypes !== undefined || entry.startsWith('type '),
        from: from === undefined ? null : join(dirname(file), from),
      })),
  )
  const declared = [...text.matchAll(DECLARATIONS)].map(([, kind, name = '']) => ({
    name,
    isType: kind === 'interface' || kind === 'type',
    from: null,
  }))
  return [...listed, ...declared]
}

/** The comment before the declaration of a name, found through re-exports; undefined when there is none. */
function commentOf(file: string, name: string): string | undefined {
  const text = read(file)
  const declaration = new RegExp(`^(?:export )?(?:async )?(?:function|const|class|interface|type) ${name}\\b`, 'm')
  const found = declaration.exec(text)
  if (found !== null) return /\/\*\*(?:(?!\*\/)[\s\S])*\*\/\s*$/.exec(text.slice(0, found.index))?.[0]
  const listed = exportsOf(file).find((one) => one.name === name && one.from !== null)
  if (listed?.from) return commentOf(listed.from, name)
  const imported = [...text.matchAll(/^import [^;]*?\b(\w+)\b[^;]*? from '([^']+)'/gm)].find(([line]) =>
    new RegExp(`\\b${name}\\b`).test(line),
  )
  const star = [...text.matchAll(/^export type \* from '([^']+)'/gm)].map(([, path = '']) => join(dirname(file), path))
  const next = [...(imported?.[2]?.startsWith('.') ? [join(dirname(file), imported[2])] : []), ...star]
  return next
    .filter((path) => existsSync(join(source, path)))
    .map((path) => commentOf(path, name))
    .find(Boolean)
}

describe('the public surface', () => {
  it.each(Object.entries(ENTRIES))('of %s is an explicit list', (_, file) => {
    expect(read(file)).not.toMatch(/^export (type )?\*/m)
    expect(exportsOf(file).length).toBeGreaterThan(0)
  })

  it('of the root has at most 40 types', () => {
    const types = exportsOf(ENTRIES['.']).filter(({ isType }) => isType)
    expect(new Set(types.map(({ name }) => name)).size).toBe(types.length)
    expect(types.length).toBeGreaterThan(20)
    expect(types.length).toBeLessThanOrEqual(MOST_TYPES_OF_THE_ROOT)
  })

  it('of ./store has every type of the store port', () => {
    const exported = new Set(exportsOf(ENTRIES['./store']).map(({ name }) => name))
    const port = [...exportsOf('store/port.ts'), ...exportsOf('store/types.ts')].map(({ name }) => name)
    expect(port.filter((name) => !exported.has(name))).toEqual([])
  })

  it.each(Object.entries(ENTRIES))('of %s has a comment on every name', (_, file) => {
    const names = exportsOf(file).map(({ name }) => name)
    expect(names.filter((name) => commentOf(file, name) === undefined)).toEqual([])
  })

  it.each(Object.entries(ENTRIES))('of %s has an example for every function', (_, file) => {
    const functions = exportsOf(file).filter(({ name, isType }) => !isType && /^[a-z]/.test(name))
    const missing = functions.filter(({ name }) => !commentOf(file, name)?.includes('@example'))
    expect(missing.map(({ name }) => name)).toEqual([])
  })
})
