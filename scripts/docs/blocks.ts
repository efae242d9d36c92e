/** A fenced block of TypeScript on a page. */
export interface Block {
  /** Line of the page on which its first line of code stands, from 1. */
  line: number
  code: string
  /** `ts` or `tsx`. */
  language: string
  /** The path in its first comment (`// app/api/chat/route.ts`), so that other blocks of the page can import it. */
  path: string | undefined
}

const FENCE = /^(\s*)```(tsx?)\s*$/

/** Every block of TypeScript on a page, in order. */
export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = []
  const lines = markdown.split('\n')
  for (let index = 0; index < lines.length; index++) {
    const opening = FENCE.exec(lines[index] ?? '')
    if (opening === null) continue
    const [, indent = '', language = 'ts'] = opening
    const end = lines.findIndex((line, at) => at > index && line.trimEnd() === `${indent}\`\`\``)
    if (end < 0) throw new Error(`line ${index + 1}: the block does not end`)
    const code = lines.slice(index + 1, end).map((line) => line.slice(indent.length))
    const path = /^\/\/ ([\w./[\]-]+\.tsx?)\b/.exec(code[0] ?? '')?.[1]
    blocks.push({ line: index + 2, code: code.join('\n'), language, path })
    index = end
  }
  return blocks
}

/** The code as a module whose lines have the numbers that they have on the page. */
export function moduleOf({ line, code }: Block): string {
  return `${'\n'.repeat(line - 1)}${code}\nexport {}\n`
}
