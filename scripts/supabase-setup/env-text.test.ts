import fc from 'fast-check'
import { expect, it } from 'vitest'
import { changedNames, parseVariables, updateVariables } from './env-text.ts'

it('keeps comments, order, unknown variables and the rest of the line', () => {
  const before = '# mine\nOTHER="a b" # why\n\nexport URL=old # the project\nLAST=1\n'
  expect(updateVariables(before, { URL: 'https://x.example' })).toBe(
    '# mine\nOTHER="a b" # why\n\nexport URL=https://x.example # the project\nLAST=1\n',
  )
})

it('appends what is missing, also to a file without a last line break', () => {
  expect(updateVariables('A=1', { B: '2', C: '' })).toBe('A=1\nB=2\nC=\n')
  expect(updateVariables('', { B: '2' })).toBe('B=2\n')
})

it('leaves a commented-out assignment and a line inside a quoted value alone', () => {
  const text = '# KEY=commented\nPEM="-----BEGIN\nKEY=inside\n-----END"\nKEY=real\n'
  expect(updateVariables(text, { KEY: 'new' })).toBe(
    '# KEY=commented\nPEM="-----BEGIN\nKEY=inside\n-----END"\nKEY=new\n',
  )
})

it('sets a name that occurs twice in both places, whichever a reader takes', () => {
  expect(updateVariables('A=1\nB=x\nA=2\n', { A: '3' })).toBe('A=3\nB=x\nA=3\n')
})

it('replaces a quoted value and an empty one, with Windows line ends too', () => {
  expect(updateVariables('A="old"\r\nB=\r\nC=keep\r\n', { A: 'x', B: 'y' })).toBe('A=x\r\nB=y\r\nC=keep\r\n')
})

it('refuses a value that a reader would expand or cut, and says which without showing it', () => {
  for (const value of ['a$b', 'a b', 'a#b', "a'b", 'a\nB=1']) {
    expect(() => updateVariables('', { KEY: value })).toThrow(/^The value of KEY has characters/)
  }
})

it('is idempotent, and what it wrote reads back, with anything in the file before', () => {
  const name = fc.constantFrom('A', 'B', 'LONG_NAME')
  const line = fc.oneof(
    fc.tuple(name, fc.stringMatching(/^[\w/:.-]{0,12}$/)).map(([key, value]) => `${key}=${value}`),
    fc.tuple(name, fc.stringMatching(/^[\w ]{0,12}$/)).map(([key, value]) => `export ${key}="${value}" # note`),
    fc.stringMatching(/^[\w ]{0,12}$/).map((text) => `# ${text}`),
    fc.constant(''),
  )
  const values = fc.dictionary(name, fc.stringMatching(/^[\w/:.@%-]{0,20}$/))
  fc.assert(
    fc.property(fc.array(line), values, (lines, wanted) => {
      const text = lines.join('\n')
      const once = updateVariables(text, wanted)
      expect(updateVariables(once, wanted)).toBe(once)
      expect(changedNames(parseVariables(once), wanted)).toEqual([])
      const others = Object.entries(parseVariables(text)).filter(([key]) => !(key in wanted))
      for (const [key, value] of others) expect(parseVariables(once)[key]).toBe(value)
    }),
  )
})
