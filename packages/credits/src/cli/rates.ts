import { defineCommand } from 'citty'
import { invalidInput } from '../core/money.ts'
import { parsePricing } from '../core/pricing-schema.ts'
import { requireRate } from '../core/rates.ts'
import { createCredits } from '../credits.ts'
import type { Credits } from '../credits-types.ts'
import { postgresStore } from '../store/postgres.ts'
import { command, databaseArgs } from './command.ts'
import { withDatabase } from './database.ts'

function withCreditsOf<Result>(url: string | undefined, use: (credits: Credits) => Promise<Result>): Promise<Result> {
  return withDatabase(url, (client) => use(createCredits({ store: postgresStore(client) })))
}

const list = command({
  name: 'list',
  description: 'Rates in force',
  args: {
    ...databaseArgs,
    match: { type: 'string', description: 'Only models whose id contains this' },
    unknown: { type: 'boolean', description: 'Only models without a known price', default: false },
  },
  async run(args, output) {
    const { snapshot } = await withCreditsOf(args['database-url'], (credits) => credits.pricing())
    const rates = snapshot.rates.filter(
      (rate) =>
        rate.effectiveFrom <= snapshot.asOf && rate.modelId.includes(args.match ?? '') && !(args.unknown && rate.known),
    )
    for (const { modelId, type, known, pricing } of rates) {
      const price =
        known && pricing ? `in ${String(pricing.input ?? '-')} out ${String(pricing.output ?? '-')}` : 'unknown price'
      output.say(`${modelId}  ${type}  ${price}`)
    }
    output.say(`${rates.length} rates`)
    output.answer(rates)
    return 0
  },
})

const show = command({
  name: 'show',
  description: 'One model: its prices, its margin, what it has been renamed to',
  args: { ...databaseArgs, model: { type: 'positional', description: 'provider/model', required: true } },
  async run(args, output) {
    const pricing = await withCreditsOf(args['database-url'], (credits) => credits.pricing())
    const rate = requireRate(pricing.snapshot, { modelId: args.model })
    const { margin, marginPercent } = pricing.find({ model: args.model })
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
    feature: { type: 'string', description: 'For a margin of that feature' },
  },
  async run(args, output) {
    const usage = { inputTokens: count('--input', args.input), outputTokens: count('--output', args.output) }
    const charge = await withCreditsOf(args['database-url'], (credits) =>
      credits.price({ model: args.model, usage, ...(args.feature !== undefined && { feature: args.feature }) }),
    )
    output.say(`${charge.amount} credits (USD ${charge.costUsd}, margin ${charge.marginPercent} %)`)
    output.answer(charge)
    return 0
  },
})

function count(flag: string, text: string): number {
  if (!/^\d{1,12}$/.test(text)) throw invalidInput(flag, 'expected a whole number of tokens')
  return Number(text)
}

/** `credits rates` */
export const rates = defineCommand({
  meta: { name: 'rates', description: 'Look at the rates that charges are made from' },
  subCommands: { list, show, price },
})
