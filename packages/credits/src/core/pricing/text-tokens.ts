const encoder = new TextEncoder()

/** UTF-8 bytes of a text: no byte-level tokenizer makes more tokens of it. */
export function utf8Bytes(text: string): number {
  return encoder.encode(text).length
}

/**
 * What the count by script is multiplied with. The counts below are those of OpenAI's tokenizers (cl100k and o200k) or
 * more. Newer ones, Anthropic's first, make up to a quarter more tokens of the same text.
 */
export const TEXT_MARGIN = 1.25

/** Letters of a word that surely fit into one token. */
const LETTERS_PER_TOKEN = 4
/** Words longer than this are put together, or no words: their rest comes in pairs of letters. */
const LONG_WORD = 8
/** Letters per token in words of capitals, and where capitals and small letters are mixed: base64, names of keys. */
const CAPITALS_PER_TOKEN = 3
const MIXED_PER_TOKEN = 1.3

/** Tokens of one character by script, in order of code points. What is not listed counts its bytes. */
const SCRIPTS: readonly (readonly [from: number, to: number, tokens: number])[] = [
  [0x00a0, 0x024f, 1], // Latin with accents
  [0x0250, 0x036f, 1.5], // phonetic, combining marks
  [0x0370, 0x052f, 0.9], // Greek, Cyrillic
  [0x0530, 0x05ff, 1.6], // Armenian, Hebrew
  [0x0600, 0x06ff, 1.1], // Arabic
  [0x0900, 0x09ff, 1.7], // Devanagari, Bengali
  [0x0e00, 0x0e7f, 1.4], // Thai
  [0x2000, 0x206f, 1], // punctuation
  [0x3000, 0x30ff, 1.2], // kana
  [0x4e00, 0x9fff, 1.5], // Han
  [0xac00, 0xd7af, 1.6], // Hangul
  [0xff00, 0xffef, 1.3], // full width
]

function bytesOf(code: number): number {
  if (code < 0x80) return 1
  if (code < 0x800) return 2
  return code < 0x1_0000 ? 3 : 4
}

function tokensOf(code: number): number {
  for (const [from, to, tokens] of SCRIPTS) {
    if (code < from) break
    if (code <= to) return tokens
  }
  return bytesOf(code)
}

/** Tokens of a run of letters. A capital after a small letter has begun another run. */
function tokensOfWord(letters: number, capitals: number): number {
  if (capitals > 1) return letters / (capitals === letters ? CAPITALS_PER_TOKEN : MIXED_PER_TOKEN)
  const rest = Math.max(0, letters - LONG_WORD)
  return Math.ceil((letters - rest) / LETTERS_PER_TOKEN) + rest / 2
}

const isLower = (code: number) => code >= 97 && code <= 122
const isUpper = (code: number) => code >= 65 && code <= 90
const isSpace = (code: number) => code === 32 || (code >= 9 && code <= 13)

/**
 * An upper bound of a text's tokens, for a model whose tokenizer is not at hand: characters by script, with
 * {@link TEXT_MARGIN}. Words count by their length, digits and signs one each, other scripts as much as the less
 * favourable of the common tokenizers. Never more than the text's bytes. English prose comes to about 1.8 times its
 * real tokens, where its bytes come to 4.5 times.
 *
 * @example boundTextTokens('The quick brown fox') // 8
 */
export function boundTextTokens(text: string): number {
  let tokens = 0
  let bytes = 0
  let letters = 0
  let capitals = 0
  let before = 0
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    bytes += bytesOf(code)
    const [lower, upper] = [isLower(code), isUpper(code)]
    if (letters > 0 && !lower && (!upper || isLower(before))) {
      tokens += tokensOfWord(letters, capitals)
      letters = 0
      capitals = 0
    }
    if (lower || upper) {
      letters++
      if (upper) capitals++
    } else tokens += tokensOfSign(code, before)
    before = code
  }
  return Math.min(bytes, Math.ceil((tokens + tokensOfWord(letters, capitals)) * TEXT_MARGIN))
}

function tokensOfSign(code: number, before: number): number {
  if (code >= 0x80) return tokensOf(code)
  if (!isSpace(code)) return 1
  // One space belongs to the word after it. Of a longer run, four are one token.
  if (isSpace(before)) return 0.25
  return code === 32 ? 0 : 1
}
