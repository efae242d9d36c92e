import { execFileSync } from 'node:child_process'
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { readVariables, shareWithApp, writeVariables } from './env-file.ts'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'env-file-'))
  path = join(folder, '.env.local')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const mode = (file: string) => statSync(file).mode & 0o777

it('creates the file from its template, readable by its owner alone', () => {
  const template = join(folder, '.env.example')
  writeFileSync(template, '# fill in\nURL=\nOTHER=\n')
  expect(writeVariables({ path, template }, { URL: 'http://x' })).toEqual(['URL'])
  expect(readFileSync(path, 'utf8')).toBe('# fill in\nURL=http://x\nOTHER=\n')
  expect(mode(path)).toBe(0o600)
  expect(readdirSync(folder).sort()).toEqual(['.env.example', '.env.local'])
})

it('does not touch a file that says the same already, but takes it away from other readers', () => {
  writeFileSync(path, 'URL=http://x\n', { mode: 0o644 })
  const { mtimeMs, ino } = statSync(path)
  expect(writeVariables({ path }, { URL: 'http://x' })).toEqual([])
  expect([statSync(path).mtimeMs, statSync(path).ino, mode(path)]).toEqual([mtimeMs, ino, 0o600])
})

it('narrows the rights of a file that it changes', () => {
  writeFileSync(path, 'URL=old\n', { mode: 0o644 })
  writeVariables({ path }, { URL: 'new' })
  expect([readVariables({ path }), mode(path)]).toEqual([{ URL: 'new' }, 0o600])
})

it('writes through a link instead of replacing it', () => {
  const real = join(folder, 'real.env')
  writeFileSync(real, 'A=1\n')
  symlinkSync(real, path)
  writeVariables({ path }, { A: '2' })
  expect([lstatSync(path).isSymbolicLink(), readFileSync(real, 'utf8')]).toEqual([true, 'A=2\n'])
})

it('refuses to put a secret where git would commit it', () => {
  execFileSync('git', ['init', '--quiet'], { cwd: folder })
  expect(() => writeVariables({ path }, { KEY: 'secret' })).toThrow(/would be committed/)
  writeFileSync(join(folder, '.gitignore'), '.env.*\n')
  expect(writeVariables({ path }, { KEY: 'secret' })).toEqual(['KEY'])
})

it('lets the web app read the same file through a link, and says so once', () => {
  const app = join(folder, 'web')
  mkdirSync(app)
  writeVariables({ path }, { A: '1' })
  expect(shareWithApp(app, { path }, { A: '1' })).toMatch(/^linked /)
  expect(readlinkSync(join(app, '.env.local'))).toBe(join('..', '.env.local'))
  expect(shareWithApp(app, { path }, { A: '1' })).toBeUndefined()
})

it("updates the app's own file where one stands already, and mends a broken link", () => {
  const app = join(folder, 'web')
  mkdirSync(app)
  writeVariables({ path }, { A: '1' })
  writeFileSync(join(app, '.env.local'), 'OWN=yes\nA=0\n')
  expect(shareWithApp(app, { path }, { A: '1' })).toMatch(/^wrote the same variables/)
  expect(readFileSync(join(app, '.env.local'), 'utf8')).toBe('OWN=yes\nA=1\n')
  rmSync(join(app, '.env.local'))
  symlinkSync('nowhere', join(app, '.env.local'))
  expect(shareWithApp(app, { path }, { A: '1' })).toMatch(/^linked /)
  expect(readVariables({ path: join(app, '.env.local') })).toEqual({ A: '1' })
})
