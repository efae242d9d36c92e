import { type ArgsDef, defineCommand } from 'citty'
import { invalidInput } from '../core/money.ts'
import { requireRate } from '../core/pricing/rates.ts'
import { parsePricing } from '../core/pricing/schema.ts'
import { command, databaseArgs } from './command.ts'
import { withCreditsOf } from './database.ts'
import { history, summary } from './rates-history.ts'
import { set } from './rates-set.ts'
import { sync } from './rates-sync.ts'
import { suggesting } from './unknown-model.ts'

const listArgs = {
  ...databaseArgs,
  match: { type: 'string', description: 'Only models whose id contains this' },
  unknown: { type: 'boolean', description: 'Only models without a known price', default: false },
} as const satisfies ArgsDef

const list = command({
  name: 'list',
  description: 'Rates in force',
  args: listArgs,
  examples: ['rates', 'rates --match claude', 'rates --unknown'],
  async run(args, output) {
    const { snapshot } = await withCreditsOf(args['database-url'], (credits) => credits.pricing())
    const rates = snapshot.rates.filter(
      (rate) =>
        rate.effectiveFrom <= snapshot.asOf && rate.modelId.includes(args.match ?? '') && !(args.unknown && rate.known),
    )
    for (const rate of rates) output.say(`${rate.modelId}  ${rate.type}  ${summary(rate)}`)
    output.say(`${rates.length} rates`)
    output.answer(rates)
    return 0
  },
})

const show = command({
  name: 'show',
  description: 'One model: its prices, its margin, what it has been renamed to',
  args: { ...databaseArgs, model: { type: 'positional', description: 'provider/model', required: true } },
  examples: ['rates show anthropic/claude-sonnet-4.5'],
  async run(args, output) {
    const [{ snapshot }, { margin, marginPercent }] = await withCreditsOf(args['database-url'], (credits) =>
      suggesting(credits, args.model, Promise.all([credits.pricing(), credits.findPricing({ model: args.model })])),
    )
    const rate = requireRate(snapshot, { modelId: args.model })
    const { unknownKeys } = parsePricing(rate.pricing)
    output.say(`${rate.modelId} (${rate.type}), in force since ${rate.effectiveFrom}, from ${rate.source}`)
    for (const [key, price] of Object.entries(rate.pricing ?? {})) output.say(`  ${key}: ${JSON.stringify(price)}`)
    output.say(`margin ${marginPercent} % (${margin.scope} ${margin.target})`)
    if (unknownKeys.length > 0) output.say(`not understood: ${unknownKeys.join(', ')}`)
    output.answer({ rate, margin, unknownKeys })
    return unknownKeys.length === 0 ? 0 : 1
  },
})

const price = command({
  name: 'price',
  description: 'What a call would be charged',
  args: {
    ...databaseArgs,
    model: { type: 'positional', description: 'provider/model', required: true },
    input: { type: 'string', description: 'Input tokens', default: '0' },
    output: { type: 'string', description: 'Output tokens', default: '0' },
    usage: { type: 'string', description: 'Everything else as JSON: {"cacheReadTokens":500,"images":2}' },
    feature: { type: 'string', description: 'For a margin of that feature' },
    plan: { type: 'string', description: 'For a margin of that plan' },
  },
  examples: [
    'rates price anthropic/claude-sonnet-4.5 --input 2000 --output 1000',
    `rates price openai/gpt-image-2 --usage '{"images":2}'`,
  ],
  async run(args, output) {
    const tokens = { inputTokens: count('--input', args.input), outputTokens: count('--output', args.output) }
    // Tokens that are not named are not part of a usage in images or seconds.
    const given = Object.entries(tokens).filter(([, amount]) => args.usage === undefined || amount > 0)
    const usage = { ...Object.fromEntries(given), ...usageOf(args.usage) }
    const { model, feature, plan: planId } = args
    const charge = await withCreditsOf(args['database-url'], (credits) =>
      suggesting(credits, model, credits.price({ model, usage, feature, planId })),
    )
    output.say(`${charge.amount} credits (USD ${charge.costUsd}, margin ${charge.marginPercent} %)`)
    output.answer(charge)
    return 0
  },
})

function usageOf(text: string | undefined): object {
  if (text === undefined) return {}
  try {
    const usage: unknown = JSON.parse(text)
    if (typeof usage === 'object' && usage !== null) return usage
  } catch {
    // Reported below.
  }
  throw invalidInput('--usage', 'expected a JSON object')
}

function count(flag: string, text: string): number {
  if (!/^\d{1,12}$/.test(text)) throw invalidInput(flag, 'expected a whole number of tokens')
  return Number(text)
}

/** `credits rates` */
export const rates = defineCommand({
  meta: { name: 'rates', description: 'The rates that charges are made from: look, compute, set, bring up to date' },
  // Otherwise the value of a flag would be taken for the name of a command.
  args: listArgs,
  default: 'list',
  subCommands: { list, show, history, price, set, sync },
})
