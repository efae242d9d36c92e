/** The words that the vocabulary of docs/concepts.md replaces, and the places where one of them means something else. */

/** A group of words with the word to use instead. */
interface Banned {
  words: readonly string[]
  use: string
}

/** Matched as whole words, in prose and in the parts of identifiers (`heldAmount`, `held_amount`, `HELD`). */
export const BANNED: readonly Banned[] = [
  { words: ['hold', 'holds', 'held', 'holding'], use: 'reserve, reserved, reservation' },
  { words: ['books', 'booked', 'booking'], use: 'ledger, transactions, recorded' },
  { words: ['desk'], use: 'operations' },
  { words: ['demand', 'demands'], use: 'estimate' },
  { words: ['funds'], use: 'allowance' },
  { words: ['turns'], use: 'queue, step; as a verb: becomes, converts' },
  { words: ['ending', 'endings'], use: 'completion, end' },
  { words: ['inflow'], use: 'input stream' },
  { words: ['soon'], use: 'await the promise' },
  { words: ['slot', 'slots'], use: 'field, place' },
  { words: ['stretch', 'stretches'], use: 'extend, part' },
  { words: ['conclude', 'concludes'], use: 'settle, finish' },
  { words: ['course'], use: 'run, call' },
  { words: ['steer', 'steers'], use: 'control' },
  { words: ['observe', 'observes'], use: 'see, record' },
  { words: ['quote'], use: 'estimate, price' },
  { words: ['learn', 'learns', 'forget', 'forgets'], use: 'cache, store, delete' },
  { words: ['posting', 'postings'], use: 'account change' },
  { words: ['sweep', 'sweeps'], use: 'expire' },
  { words: ['slowly'], use: 'general' },
  {
    words: ['arena', 'lane', 'lanes', 'court', 'sabotage', 'sabotaged'],
    use: 'test database, worker, runner, mutation',
  },
  { words: ['attack', 'attacks'], use: 'scenario, test' },
  { words: ['ground', 'world'], use: 'createTestDatabase, createTestStack' },
  { words: ['house', 'rooms', 'walls'], use: 'architecture, modules, import rules' },
  { words: ['nobody', 'somebody', 'whoever'], use: 'the user, the caller, the function: a thing in the code' },
  { words: ['whatever'], use: 'any, every, or the thing itself' },
  { words: ['told', 'tells'], use: 'reports, receives' },
  { words: ['anew'], use: 'again' },
  { words: ['beside'], use: 'next to, in addition to, compared with' },
  { words: ['bearable', 'insist', 'insists'], use: 'allowed, retry' },
]

/** Phrases that are plain English although one of their words is in the list. */
export const ALLOWED_PHRASES: readonly { phrase: RegExp; reason: string }[] = [
  { phrase: /\bas soon as\b/gi, reason: 'a conjunction' },
  { phrase: /\bof course\b/gi, reason: 'an adverb' },
  {
    phrase: /\baccount slots?\b|\bfrom the slot\b|\b4,096 slots\b|\baccountSlot\w*|\baccount_slot\w*/gi,
    reason: 'the 12 bits of an id (docs/scale.md)',
  },
  { phrase: /`booked`|\bbooked(?=\??\s*[:,}])|\.booked\b|['"]booked['"]|\{ booked\b/g, reason: 'field of a receipt' },
  { phrase: /\bquote_(ident|literal|nullable)\b|\bquote mark\b|\b(single|double)[ -]quote\b/gi, reason: 'punctuation' },
  { phrase: /\bquoteStyle\b|\bsingleQuote\b/g, reason: 'options of formatters' },
  { phrase: /\b(?:has|must|should|still|also|does not|always) holds?\b/gi, reason: 'a statement is true' },
  {
    phrase: /\blocks? (?:\w+ )?(?:is |are )?held\b|\bholds? (?:the|a|its|no|that|this) (?:\w+ )?lock\b/gi,
    reason: 'a lock',
  },
  { phrase: /\b(?:hello|real|Hello),? world\b/gi, reason: 'sample text' },
  { phrase: /\{ held\b|\bof held\)|\bheld\.(map|length)\b/g, reason: 'field of a rate sync: changes that wait' },
  { phrase: /insufficient[_ ]funds/gi, reason: 'an answer of the AI Gateway' },
  { phrase: /['"`]nobody['"`]/g, reason: 'the Unix user, or sample text' },
  { phrase: /\bon[ -]demand\b/gi, reason: 'a fixed expression' },
]

/** Files in which one word is needed, each with the reason. */
export const ALLOWED_IN: readonly { file: RegExp; words: readonly string[]; reason: string }[] = [
  { file: /^SECURITY\.md$/, words: ['attack', 'attacks'], reason: 'the usual word in a security policy' },
  {
    file: /^(scripts|packages\/local-stack)\//,
    words: ['hold', 'holds', 'held', 'holding'],
    reason: 'no reservations there: a file or a process holds something',
  },
  {
    file: /(price-list\/diff|sync-rates|rates-sync|__tests__\/reports\/(cli|gateway)\.test)/,
    words: ['held', 'holds'],
    reason: 'result of a rate sync: changes that wait for a person (`held`)',
  },
]

const MEANING = new Map(BANNED.flatMap(({ words, use }) => words.map((word) => [word, use] as const)))

/** A word of a line that the vocabulary does not have. */
export interface BannedWord {
  word: string
  use: string
}

/**
 * The banned words of one line.
 *
 * @example bannedWords('docs/concepts.md', 'credits held for a call') // [{ word: 'held', use: 'reserve, ...' }]
 */
export function bannedWords(file: string, line: string): BannedWord[] {
  const text = ALLOWED_PHRASES.reduce((left, { phrase }) => left.replace(phrase, ' '), line)
  const exempt = new Set(ALLOWED_IN.filter((entry) => entry.file.test(file)).flatMap(({ words }) => words))
  return wordsOf(text).flatMap((word) => {
    const use = MEANING.get(word)
    return use === undefined || exempt.has(word) ? [] : [{ word, use }]
  })
}

/** Splits prose and identifiers alike: `heldAmount`, `held_amount` and `HELD-amount` all give `held`, `amount`. */
function wordsOf(text: string): string[] {
  return text
    .replace(/([a-z\d])([A-Z])/g, '$1 $2')
    .split(/[^A-Za-z]+/)
    .map((word) => word.toLowerCase())
}
