import { invalidInput } from '../core/errors.ts'
import { isZero, mul } from '../core/money.ts'
import { candidate } from '../core/price-list/parse.ts'
import type { GatewayPricing } from '../core/pricing/schema.ts'
import { postgresStore } from '../store/postgres.ts'
import { command, databaseArgs } from './command.ts'
import { withDatabase } from './database.ts'
import { summary } from './rates-history.ts'

const perMillion = (what: string) => ({ type: 'string', description: `USD per million ${what}` }) as const
const each = (what: string) => ({ type: 'string', description: `USD per ${what}` }) as const
const PER_TOKEN = '0.000001'

/** `credits rates set` */
export const set = command({
  name: 'set',
  description: 'Set the price of one model from now on: your own, a fine-tune, a private deployment',
  args: {
    ...databaseArgs,
    model: { type: 'positional', description: 'provider/model', required: true },
    type: { type: 'string', description: 'language, embedding, image, speech ...', default: 'language' },
    input: perMillion('input tokens'),
    output: perMillion('output tokens'),
    'cached-input': perMillion('input tokens read from the cache'),
    'cache-write': perMillion('input tokens written to the cache'),
    image: each('image'),
    search: each('1,000 web searches'),
    'context-window': { type: 'string', description: 'Longest input in tokens' },
    'max-output': { type: 'string', description: 'Longest answer in tokens' },
    pricing: { type: 'string', description: 'Everything else as JSON, in the form of /v1/models (USD per unit)' },
    free: { type: 'boolean', description: 'The model costs nothing', default: false },
    'dry-run': { type: 'boolean', description: 'Say what would be written, write nothing', default: false },
  },
  examples: [
    'rates set acme/writer --input 3 --output 15 --cached-input 0.3',
    'rates set acme/embedder --input 0.02 --type embedding',
    'rates set acme/local --free',
  ],
  async run(args, output) {
    const rate = {
      modelId: args.model,
      type: args.type,
      pricing: pricingOf(args),
      contextWindow: tokens('--context-window', args['context-window']),
      maxOutputTokens: tokens('--max-output', args['max-output']),
    }
    const line = `${rate.modelId}  ${rate.type}  ${summary({ known: true, pricing: rate.pricing })}`
    if (args['dry-run']) {
      output.say(`Dry run, nothing was written: ${line}`)
      output.answer({ written: null, rate })
      return 0
    }
    const { inserted } = await withDatabase(args['database-url'], (client) =>
      postgresStore(client).addRates({ rates: [{ ...rate, source: 'credits rates set' }] }),
    )
    output.say(inserted === 0 ? `Unchanged: ${line}` : `In force from now on: ${line}`)
    output.answer({ written: inserted, rate })
    return 0
  },
})

interface PriceArgs {
  model: string
  type: string
  input?: string | undefined
  output?: string | undefined
  'cached-input'?: string | undefined
  'cache-write'?: string | undefined
  image?: string | undefined
  search?: string | undefined
  pricing?: string | undefined
  free: boolean
}

/** The price object, checked as a price list would be. */
function pricingOf(args: PriceArgs): GatewayPricing {
  const given = {
    input: unitPrice('--input', args.input, PER_TOKEN),
    output: unitPrice('--output', args.output, PER_TOKEN),
    input_cache_read: unitPrice('--cached-input', args['cached-input'], PER_TOKEN),
    input_cache_write: unitPrice('--cache-write', args['cache-write'], PER_TOKEN),
    image: unitPrice('--image', args.image, '1'),
    web_search: unitPrice('--search', args.search, '1'),
  }
  const prices = Object.fromEntries(Object.entries(given).filter(([, price]) => price !== undefined))
  const all = { ...jsonOf(args.pricing), ...prices }
  if (args.free) {
    if (Object.keys(all).length > 0) throw invalidInput('--free', 'cannot be combined with a price')
    return { input: '0', output: '0' }
  }
  if (Object.keys(all).length === 0) throw invalidInput('--input', 'give a price, or --free')
  if (
    Object.values(prices).length > 0 &&
    Object.values(all).every((price) => typeof price === 'string' && isZero(price))
  )
    throw invalidInput('--free', 'every price is 0: say --free if that is meant')
  const { pricing } = candidate({ modelId: args.model, type: args.type, pricing: all, path: '--pricing' })
  if (pricing === null) throw invalidInput('--pricing', 'has no price')
  return pricing
}

function unitPrice(flag: string, text: string | undefined, factor: string): string | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,9}(\.\d{1,9})?$/.test(text)) throw invalidInput(flag, 'expected USD as a decimal, for example 0.25')
  return mul(text, factor)
}

function jsonOf(text: string | undefined): Record<string, unknown> {
  if (text === undefined) return {}
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  } catch {
    // Reported below.
  }
  throw invalidInput('--pricing', 'expected a JSON object')
}

function tokens(flag: string, text: string | undefined): number | null {
  if (text === undefined) return null
  if (!/^[1-9]\d{0,9}$/.test(text)) throw invalidInput(flag, 'expected a whole number of tokens')
  return Number(text)
}
