/**
 * The tokens of the development models: a word of up to eight letters, a punctuation mark, each with the blank
 * before it. Deterministic, and `tokenize(text).join('') === text`, so an answer is streamed token by token.
 */
export function tokenize(text: string): string[] {
  return text.match(/\s*[\p{L}\p{N}]{1,8}|\s*[^\s\p{L}\p{N}]|\s+/gu) ?? []
}

/** How many tokens a text has. */
export function countTokens(text: string): number {
  return tokenize(text).length
}
