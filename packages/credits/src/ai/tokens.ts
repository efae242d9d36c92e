/** Counts the tokens of a text. Must never count too few if it is to bound a hold. */
export type CountTokens = (text: string) => number

// Typical of byte-level tokenizers: about four ASCII characters to a token, less than one and a half other ones.
const PER_ASCII = 0.25
const PER_OTHER = 0.7
/** Parts up to this long on average are taken for single tokens, as most providers stream them. */
const LONGEST_TOKEN = 8
/** What a text is at least, where {@link likelyTokens} says what it probably is. */
const CAUTION = 0.8

/** Characters beyond ASCII. */
function others(text: string): number {
  let count = 0
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 127) count++
  return count
}

function weigh(characters: number, beyondAscii: number): number {
  return (characters - beyondAscii) * PER_ASCII + beyondAscii * PER_OTHER
}

/**
 * The tokens a text probably has: for charging a call whose usage was lost, where a bound would overcharge.
 * @example likelyTokens('Hello world, how are you?') // 7
 */
export function likelyTokens(text: string): number {
  return Math.ceil(weigh(text.length, others(text)))
}

/**
 * Counts streamed output part by part, without keeping it and without allocating: whole numbers only, because a
 * fraction in a field is an object of its own.
 */
export class OutputTally {
  #parts = 0
  #characters = 0
  #others = 0
  #text: string | undefined
  readonly #count: CountTokens | undefined

  constructor(count: CountTokens | undefined) {
    this.#count = count
    if (count !== undefined) this.#text = ''
  }

  /** One delta of text, reasoning or tool input. @returns the most tokens that there can be by now */
  add(delta: string): number {
    const { length } = delta
    if (length > 0) {
      this.#parts++
      this.#characters += length
      this.#others += others(delta)
      if (this.#text !== undefined) this.#text += delta
    }
    // No text has more tokens than characters, and no more parts either.
    return this.#characters
  }

  /** Whether anything was generated. */
  get empty(): boolean {
    return this.#parts === 0
  }

  /** Tokens generated so far, as well as can be told from the outside. */
  get likely(): number {
    if (this.#count !== undefined && this.#text !== undefined) return this.#count(this.#text)
    return this.#single ? this.#parts : Math.ceil(this.#weight)
  }

  /** Whether surely more than `limit` tokens were generated: what is cut off must be beyond the hold. */
  beyond(limit: number): boolean {
    return (this.#single ? this.#parts : this.#weight * CAUTION) > limit
  }

  get #weight(): number {
    return weigh(this.#characters, this.#others)
  }

  get #single(): boolean {
    return this.#characters <= LONGEST_TOKEN * this.#parts
  }
}
