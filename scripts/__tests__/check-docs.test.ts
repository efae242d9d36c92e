import { describe, expect, it } from 'vitest'
import { blocksOf } from '../docs/blocks.ts'
import { checkPage } from '../docs/check.ts'

const fence = (code: string, language = 'ts') => `\`\`\`${language}\n${code}\n\`\`\`\n`
const PRELUDE = "declare const credits: import('@layers/credits').Credits\ndeclare const userId: string\n"
const check = (markdown: string) => checkPage('page.md', markdown, PRELUDE)

describe('blocksOf', () => {
  it('finds ts and tsx blocks with their lines, and leaves other languages alone', () => {
    const page = `# Title\n\n${fence('const a = 1')}\n${fence('select 1', 'sql')}\n${fence('<p />', 'tsx')}`
    expect(blocksOf(page).map(({ line, language }) => [line, language])).toEqual([
      [4, 'ts'],
      [12, 'tsx'],
    ])
  })

  it('takes the path of a block from its first comment', () => {
    expect(blocksOf(fence('// lib/credits.ts (server only)\nexport {}'))[0]?.path).toBe('lib/credits.ts')
    expect(blocksOf(fence('// a comment\nexport {}'))[0]?.path).toBeUndefined()
  })
})

describe('checkPage', () => {
  it('finds nothing in a block that compiles against the built package', () => {
    expect(check(fence('const { available } = await credits.getBalance({ userId })\nconsole.log(available)'))).toEqual(
      [],
    )
  })

  it('names the page and the line of a call that the package does not have', () => {
    const [finding, ...others] = check(
      `# Title\n\n${fence('await credits.getBalance({ userId })\nawait credits.pay()')}`,
    )
    expect(finding).toMatch(/^page\.md:5:15 {2}error TS2339: .*'pay'/)
    expect(others).toEqual([])
  })

  it('finds a name that a block uses without importing it', () => {
    expect(check(fence('withCredits(generateText, { credits, userId })')).join()).toContain("'withCredits'")
  })

  it('a block with a path can be imported by the blocks of its page', () => {
    const page =
      fence("// lib/one.ts\nexport const one = '1'") +
      fence("import { one } from '@/lib/one'\nexport const two: number = one")
    expect(check(page)).toEqual([expect.stringContaining("Type 'string' is not assignable to type 'number'")])
  })
})
