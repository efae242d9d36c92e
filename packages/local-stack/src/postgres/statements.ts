/**
 * The offset of every statement in a script. Knows comments, strings, quoted names, dollar quotes and the bodies
 * of SQL-standard functions (`begin atomic ... end`); good enough to say on which line a statement begins.
 */
export function statementOffsets(script: string): number[] {
  const offsets: number[] = []
  let at = 0
  let start: number | undefined
  let atomic = 0
  while (at < script.length) {
    const rest = script.slice(at)
    const skipped = skipBlankOrComment(rest)
    if (skipped > 0) {
      at += skipped
      continue
    }
    if (rest[0] === ';' && atomic === 0) {
      if (start !== undefined) offsets.push(start)
      start = undefined
      at += 1
      continue
    }
    start ??= at
    const word = /^[a-z_][\w$]*/i.exec(rest)?.[0]
    atomic = Math.max(0, atomic + atomicChange(rest, word, atomic))
    at += quoted(rest) || word?.length || 1
  }
  if (start !== undefined) offsets.push(start)
  return offsets
}

function atomicChange(rest: string, word: string | undefined, depth: number): number {
  const lower = word?.toLowerCase()
  if (lower === 'begin' && /^begin\s+atomic\b/i.test(rest)) return 1
  if (depth > 0 && lower === 'case') return 1
  return depth > 0 && lower === 'end' ? -1 : 0
}

function skipBlankOrComment(rest: string): number {
  const blank = /^\s+/.exec(rest)?.[0].length
  if (blank) return blank
  if (rest.startsWith('--')) return /^[^\n]*/.exec(rest)?.[0].length ?? 0
  if (!rest.startsWith('/*')) return 0
  let depth = 0
  for (const mark of rest.matchAll(/\/\*|\*\//g)) {
    depth += mark[0] === '/*' ? 1 : -1
    if (depth === 0) return mark.index + 2
  }
  return rest.length
}

/** The length of the string, quoted name or dollar-quoted text that `rest` begins with, else 0. */
function quoted(rest: string): number {
  const escaped = /^e'(?:[^'\\]|\\.|'')*'/is.exec(rest)
  if (escaped) return escaped[0].length
  const simple = /^(?:'(?:[^']|'')*'|"(?:[^"]|"")*")/.exec(rest)
  if (simple) return simple[0].length
  const tag = /^\$(?:[a-z_]\w*)?\$/i.exec(rest)?.[0]
  if (!tag) return 0
  const end = rest.indexOf(tag, tag.length)
  return end < 0 ? rest.length : end + tag.length
}
