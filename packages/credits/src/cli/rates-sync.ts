import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { CreditError } from '../core/errors.ts'
import { invalidInput } from '../core/money.ts'
import type { RateSource } from '../credits/rate-source.ts'
import { type SyncRatesResult, syncRates } from '../credits/sync-rates.ts'
import { postgresStore } from '../store/postgres.ts'
import { command, databaseArgs, type Output } from './command.ts'
import { withDatabase } from './database.ts'

/** `credits rates sync` */
export const sync = command({
  name: 'sync',
  description: 'Bring the rates up to date with a price list; exit 1 when a change waits for a person',
  args: {
    ...databaseArgs,
    url: { type: 'string', description: 'List in the form of /v1/models. Default: the AI Gateway itself' },
    file: { type: 'string', description: 'The same from a file' },
    gateway: {
      type: 'boolean',
      description: 'From getAvailableModels of @ai-sdk/gateway: confirms prices, adds new models',
      default: false,
    },
    accept: { type: 'string', description: 'Models whose held change is meant, separated by commas' },
    'accept-all': { type: 'boolean', description: 'All held changes are meant', default: false },
    'dry-run': { type: 'boolean', description: 'Only tell what would change', default: false },
  },
  async run(args, output) {
    const source = await sourceOf(args)
    const accept = args['accept-all'] ? 'all' : (args.accept?.split(',').map((id) => id.trim()) ?? [])
    const result = await withDatabase(args['database-url'], (client) =>
      output.during('Reading the price list', () =>
        syncRates({ store: postgresStore(client), source, accept, dryRun: args['dry-run'] }),
      ),
    )
    tell(result, output)
    output.answer(result)
    return result.held.length === 0 ? 0 : 1
  },
})

async function sourceOf(args: {
  url?: string | undefined
  file?: string | undefined
  gateway: boolean
}): Promise<RateSource> {
  if ([args.url, args.file, args.gateway || undefined].filter((given) => given !== undefined).length > 1)
    throw invalidInput('--file', 'give one of --url, --file, --gateway')
  if (args.gateway) return { gateway: await loadGateway() }
  if (args.file === undefined) return { url: args.url }
  try {
    return { text: new Uint8Array(await readFile(args.file)), name: basename(args.file) }
  } catch (cause) {
    throw new CreditError({ code: 'INVALID_INPUT', message: `--file: ${args.file} cannot be read`, cause })
  }
}

/** The app's own gateway package; its key is AI_GATEWAY_API_KEY. */
export async function loadGateway(): Promise<typeof import('@ai-sdk/gateway').gateway> {
  try {
    return (await import('@ai-sdk/gateway')).gateway
  } catch (cause) {
    throw new CreditError({
      code: 'CONFIG_INVALID',
      message: 'This needs the package "@ai-sdk/gateway": pnpm add @ai-sdk/gateway',
      cause,
    })
  }
}

function tell(result: SyncRatesResult, output: Output): void {
  const { inserted, changed, held, accepted, gone, unchanged, unknownKeys, written } = result
  for (const modelId of inserted) output.say(`new      ${modelId}`)
  for (const change of [...changed, ...accepted]) {
    output.say(`changed  ${change.modelId}`)
    for (const { path, from, to } of change.moves)
      output.say(`           ${path}: ${from ?? 'none'} -> ${to ?? 'none'}`)
  }
  for (const { modelId, reasons } of held) output.say(`HELD     ${modelId}: ${reasons.join('; ')}`)
  for (const modelId of gone) output.say(`gone     ${modelId} (its price stays)`)
  for (const [modelId, keys] of Object.entries(unknownKeys))
    output.say(`not understood: ${modelId}: ${keys.join(', ')}`)
  const counts = [
    `${result.listed} listed`,
    `${inserted.length} new`,
    `${changed.length + accepted.length} changed`,
    `${unchanged} unchanged`,
    `${held.length} held`,
    `${gone.length} gone`,
  ]
  output.say(`${counts.join(', ')}; ${written === null ? 'dry run, nothing was written' : `${written} rows written`}`)
  if (held.length > 0) output.say('To accept held changes: --accept <model>[,<model>], or --accept-all')
}
