/** A piece of SQL text. */
export interface Token {
  kind: 'space' | 'comment' | 'string' | 'name' | 'number' | 'operator' | 'punctuation'
  text: string
  /** Where it begins in the text. */
  start: number
}

// Tried in this order at each place. Dollar quotes and nested comments do not occur inside the bodies of functions.
const PATTERNS: readonly [Token['kind'], RegExp][] = [
  ['space', /\s+/y],
  ['comment', /--[^\n]*|\/\*[\s\S]*?\*\//y],
  ['string', /e'(?:[^'\\]|''|\\[\s\S])*'|'(?:[^']|'')*'/iy],
  ['name', /"(?:[^"]|"")*"|[a-z_][\w$]*/iy],
  ['number', /\d+(?:\.\d+)?/y],
  ['operator', /:=|::|=>|[+\-*/<>=~!@#%^&|`?]+/y],
  ['punctuation', /[\s\S]/y],
]

/**
 * Splits SQL into tokens. Put together, their texts are the SQL again.
 *
 * @example
 * tokenize("a <= 'b'").map(({ kind }) => kind) // ['name', 'space', 'operator', 'space', 'string']
 */
export function tokenize(sql: string): Token[] {
  const tokens: Token[] = []
  for (let start = 0; start < sql.length; ) {
    const token = tokenAt(sql, start)
    tokens.push(token)
    start += token.text.length
  }
  return tokens
}

function tokenAt(sql: string, start: number): Token {
  for (const [kind, pattern] of PATTERNS) {
    pattern.lastIndex = start
    const text = pattern.exec(sql)?.[0]
    if (text) return { kind, text, start }
  }
  throw new RangeError(`no token at ${start}`)
}

/** Words after which `+` and `-` are signs of the number that follows. */
const BEFORE_OPERANDS = new Set(['and', 'or', 'not', 'then', 'else', 'when', 'return', 'by', 'in', 'between', 'case'])

/** Whether an operand ends with this token. */
export function endsOperand(token: Token | undefined): boolean {
  if (token === undefined) return false
  if (token.kind === 'name') return !BEFORE_OPERANDS.has(token.text.toLowerCase())
  return ['number', 'string'].includes(token.kind) || token.text === ')' || token.text === ']'
}

/** The name or value at the left of a token, with its qualifiers, such as `lot.expires_at`. */
export function leftOperand(tokens: readonly Token[], index: number): string {
  const parts: string[] = []
  for (let at = index - 1; at >= 0; at -= 1) {
    const token = tokens[at] as Token
    const continues = parts.length === 0 || token.text === '.' || parts[0] === '.'
    if (!continues || !(token.kind === 'name' || token.kind === 'number' || '.)'.includes(token.text))) break
    parts.unshift(token.text)
    if (token.text === ')') return ')'
  }
  return parts.join('')
}

/** The name, value or called function at the right of a token, with its qualifiers. */
export function rightOperand(tokens: readonly Token[], index: number): string {
  const parts: string[] = []
  for (let at = index + 1; at < tokens.length; at += 1) {
    const token = tokens[at] as Token
    const previous = parts.at(-1)
    const continues = previous === undefined || previous === '-' || token.text === '.' || previous === '.'
    if (!continues || ['space', 'comment', 'operator'].includes(token.kind)) {
      if (token.text !== '-' || previous !== undefined) break
    }
    parts.push(token.text)
    if (token.text === '(') break
  }
  return parts.join('')
}
