import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { plan, write } from './init.ts'

let folder: string
let source: string
let target: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'credits-init-'))
  source = join(folder, 'package')
  target = join(folder, 'app')
  mkdirSync(source)
  writeFileSync(join(source, '20261101000100_credits_0001_first.sql'), 'select 1;\n')
  writeFileSync(join(source, '20261101000200_credits_0002_second.sql'), 'select 2;\n')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const NOW = new Date('2027-01-02T03:04:05Z')

function init(now = NOW): string[] {
  const steps = plan(source, target, now)
  for (const step of steps) write(step, target)
  return steps.map(({ action, file }) => `${action} ${file}`)
}

describe('credits init', () => {
  it('copies the migrations in their order, timed from now, each with the hash of its text', () => {
    expect(init()).toEqual([
      'write 20270102030405_credits_0001_first.sql',
      'write 20270102030406_credits_0002_second.sql',
    ])
    const text = readFileSync(join(target, '20270102030405_credits_0001_first.sql'), 'utf8')
    expect(text).toMatch(/^-- @layers\/credits \S+ sha256:[0-9a-f]{64}\nselect 1;\n$/)
  })

  it('a second run changes nothing', () => {
    init()
    const before = readdirSync(target)
    expect(init(new Date('2028-01-01T00:00:00Z')).every((step) => step.startsWith('keep'))).toBe(true)
    expect(readdirSync(target)).toEqual(before)
  })

  it('new migrations come after everything that the app has, even when its clock was ahead', () => {
    mkdirSync(target)
    writeFileSync(join(target, '20300101000000_app.sql'), '')
    expect(init()[0]).toBe('write 20300101000001_credits_0001_first.sql')
  })

  it('a new file of the package is added, and the files that exist are left alone', () => {
    init()
    writeFileSync(join(source, '20261101000300_credits_0003_third.sql'), 'select 3;\n')
    expect(init(new Date('2027-02-02T00:00:00Z'))).toEqual([
      'keep 20270102030405_credits_0001_first.sql',
      'keep 20270102030406_credits_0002_second.sql',
      'write 20270202000000_credits_0003_third.sql',
    ])
  })

  it('a file that differs from the package is reported and never rewritten', () => {
    init()
    const file = join(target, '20270102030405_credits_0001_first.sql')
    writeFileSync(join(source, '20261101000100_credits_0001_first.sql'), 'select 10;\n')
    expect(init()[0]).toBe('differs 20270102030405_credits_0001_first.sql')
    expect(readFileSync(file, 'utf8')).toContain('select 1;')
    appendFileSync(file, 'select 99;\n')
    expect(init()[0]).toBe('differs 20270102030405_credits_0001_first.sql')
    expect(readFileSync(file, 'utf8')).toContain('select 99;')
  })

  it("an app's own migrations next to those of the package are not copied", () => {
    writeFileSync(join(source, '20261101000000_profiles.sql'), 'select 0;\n')
    expect(init().some((step) => step.includes('profiles'))).toBe(false)
  })

  it('planning writes nothing', () => {
    plan(source, target, NOW)
    expect(() => readdirSync(target)).toThrow()
  })
})
