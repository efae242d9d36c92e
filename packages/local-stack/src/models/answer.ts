import { createHash } from 'node:crypto'
import { lastQuestion, lastToolResults, type Message } from './prompt.ts'
import { withoutTag } from './scenario.ts'

const CLOSING =
  'This answer was written by the development model gateway. Set `AI_GATEWAY_API_KEY` to a real key and the same code talks to the real model.'

/** An answer that looks like one and refers to the question, so that a demo reads well. The same question, the same answer. */
export function writeAnswer(prompt: Message[], model: string): string {
  const results = lastToolResults(prompt)
  if (results.length > 0)
    return `Here is what I found:\n\n${results.map((line) => `- ${line}`).join('\n')}\n\n${CLOSING}`
  const question = withoutTag(lastQuestion(prompt)).replace(/\s+/g, ' ').trim()
  if (question === '') return `Ask me anything. ${CLOSING}`
  if (/^(hi|hello|hey|good (morning|evening|afternoon))\b/i.test(question)) {
    return `Hello! I am standing in for **${model}** on your machine. What would you like to talk about?\n\n${CLOSING}`
  }
  const topic = topicOf(question)
  const written = pick(question, /\b(write|poem|story|haiku)\b/i.test(question) ? PIECES : EXPLANATIONS)
  return `${written.replaceAll('{topic}', topic)}\n\n${CLOSING}`
}

/** Words of roughly this many tokens, for scripted lengths: one word, one token. */
export function filler(tokens: number): string {
  return Array.from({ length: tokens }, (_, index) => WORDS[index % WORDS.length]).join(' ')
}

/** Thoughts of roughly this many tokens. */
export function thoughts(tokens: number): string {
  return filler(tokens)
}

const WORDS = 'so let us look at each part in turn and then put them back together to see how they fit'
  .split(' ')
  .filter((word) => word.length <= 8)

function topicOf(question: string): string {
  const plain = question
    .replace(/[?!.]+$/, '')
    .replace(/^(please\s+)?(can|could|would) you\s+/i, '')
    .replace(/^(what|who|where|when|why|how)('s| is| are| was| were| do| does| did| can| should)?\s+/i, '')
    .replace(/^(explain|describe|tell me about|write|summari[sz]e|list|give me|show me)\s+/i, '')
    .replace(/^(me|a|an|the|to|i|we|you)\s+/i, '')
  return plain.length > 90 ? `${plain.slice(0, 87)}...` : plain || question
}

function pick(question: string, choices: readonly string[]): string {
  const digest = createHash('sha256').update(question).digest()
  return choices[(digest[0] ?? 0) % choices.length] ?? ''
}

const EXPLANATIONS = [
  'Good question. Here is a short way to think about **{topic}**:\n\n1. **Start from what you need.** Write down the one result that matters, in a sentence.\n2. **Look at what you already have.** Most of the answer is usually there, only not yet in order.\n3. **Take the smallest step that proves something.** A result after ten minutes beats a plan after two days.\n\nOnce the first step works, the next one tends to be obvious. Shall I go deeper into one of them?',
  'Let me take **{topic}** apart:\n\n- **The idea:** a few simple rules that hold everywhere are worth more than many special cases.\n- **The catch:** the rules have to be written down where everybody looks, or each of us invents our own.\n- **In practice:** begin with the case that comes up every day and leave the rare ones for later.\n\nIf you tell me more about your situation, I can be more specific.',
  'In brief: **{topic}** comes down to a trade between speed and certainty.\n\nMoving fast is right while a mistake is cheap to undo. The moment it is not, a check before each step pays for itself. A good habit is to ask, before starting, *how would I notice that this went wrong?* If there is no answer yet, that is the first thing to build.\n\nWould an example help?',
]

const PIECES = [
  'Here is a first draft about **{topic}**:\n\n> Morning light on the table,\n> a question waits in the cursor;\n> the answer takes its time.\n\nI kept it short on purpose. Tell me which tone you prefer and I will rewrite it.',
  'A small piece on **{topic}**:\n\n> It began, as most things do, with a child asking why.\n> Nobody knew. So they wrote it down, and the next morning there was one question less in the world.\n\nShall it be longer, or funnier?',
]
