import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { CreditError, invalidInput } from '../core/errors.ts'
import type { RateSource } from '../credits/rate-source.ts'
import { type SyncRatesInput, type SyncRatesResult, syncRates } from '../credits/sync-rates.ts'
import { postgresStore } from '../store/postgres.ts'
import { command, databaseArgs, type Output } from './command.ts'
import { withDatabase } from './database.ts'
import { loadGateway } from './gateway.ts'
import { bundledRates } from './package-root.ts'

/** Below this share of the models with a price, a file is taken for a list of an app's own models. */
const LEAST_SHARE_OF_A_LIST = 0.5

/** `credits rates sync` */
export const sync = command({
  name: 'sync',
  description: 'Bring the rates up to date with a price list; exit 1 when a change waits for a person',
  args: {
    ...databaseArgs,
    url: { type: 'string', description: 'List in the form of /v1/models. Default: the AI Gateway itself' },
    file: { type: 'string', description: 'The same from a file; a few models of your own will do' },
    bundled: { type: 'boolean', description: 'The list inside this package: no network', default: false },
    gateway: {
      type: 'boolean',
      description: 'From getAvailableModels of @ai-sdk/gateway: confirms prices, adds new models',
      default: false,
    },
    accept: { type: 'string', description: 'Models whose change was looked at and is meant, separated by commas' },
    'accept-all': { type: 'boolean', description: 'All changes that wait are meant', default: false },
    'dry-run': { type: 'boolean', description: 'Say what would change, change nothing', default: false },
  },
  examples: [
    'rates sync --dry-run',
    'rates sync --accept openai/gpt-5,openai/gpt-5-mini',
    'rates sync --bundled',
    'rates sync --file own-models.json',
  ],
  async run(args, output) {
    const source = await sourceOf(args)
    const accept = args['accept-all'] ? 'all' : (args.accept?.split(',').map((id) => id.trim()) ?? [])
    const { result, own } = await withDatabase(args['database-url'], (client) =>
      output.during('Reading the price list', async () => {
        const store = postgresStore(client)
        const own = args.file !== undefined && (await isOwnList(store, source))
        const guardRails = own ? { maxGoneShare: 1 } : undefined
        const input = { store, source, accept, dryRun: args['dry-run'], guardRails }
        const result = await syncRates(input as SyncRatesInput).catch((error: unknown) => {
          throw withWayOut(error)
        })
        return { result: own ? { ...result, gone: [] } : result, own }
      }),
    )
    print(result, own, output)
    output.answer(result)
    return result.held.length === 0 ? 0 : 1
  },
})

interface SourceArgs {
  url?: string | undefined
  file?: string | undefined
  bundled: boolean
  gateway: boolean
}

async function sourceOf({ url, file, bundled, gateway }: SourceArgs): Promise<RateSource> {
  const given = [url !== undefined, file !== undefined, bundled, gateway].filter(Boolean).length
  if (given > 1) throw invalidInput('--file', 'give one of --url, --file, --bundled, --gateway')
  if (gateway) return { gateway: await loadGateway() }
  // Prices under the ids of the gateway count as the gateway's where their source names it.
  if (bundled) return { text: await read(bundledRates(), '--bundled'), name: 'AI Gateway list of @layers/credits' }
  if (file !== undefined) return { text: await read(file, '--file'), name: basename(file) }
  return { url: url ?? gatewayModels() }
}

/** The list of the gateway that the app uses: `/v1/models` at the origin of AI_GATEWAY_BASE_URL. */
function gatewayModels(): string | undefined {
  const base = process.env.AI_GATEWAY_BASE_URL
  if (!base) return undefined
  if (!URL.canParse(base)) throw invalidInput('AI_GATEWAY_BASE_URL', 'expected a URL')
  return new URL('/v1/models', base).href
}

async function read(file: string, flag: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await readFile(file))
  } catch (cause) {
    throw new CreditError({ code: 'INVALID_INPUT', message: `${flag}: ${file} cannot be read`, cause })
  }
}

/** Whether a file has so few of the models with a price that it cannot be meant as the whole list. */
async function isOwnList(store: SyncRatesInput['store'], source: RateSource): Promise<boolean> {
  const { rates } = await store.getPricing()
  const known = new Set(rates.filter((rate) => rate.known).map(({ modelId }) => modelId))
  const listed = 'text' in source ? idsIn(source.text) : []
  return listed.filter((id) => known.has(id)).length < known.size * LEAST_SHARE_OF_A_LIST
}

/** The ids of a list that is not checked yet: what is wrong with it is reported when it is read. */
function idsIn(bytes: string | Uint8Array<ArrayBuffer>): string[] {
  try {
    const list = JSON.parse(typeof bytes === 'string' ? bytes : new TextDecoder().decode(bytes)) as Record<
      string,
      unknown
    >
    const rows = list.data ?? list.models
    return Array.isArray(rows) ? rows.map(({ id }: { id?: unknown }) => String(id)) : []
  } catch {
    return []
  }
}

function withWayOut(error: unknown): unknown {
  if (!CreditError.isInstance(error) || error.code !== 'PROVIDER_UNAVAILABLE') return error
  const message = `${error.message}. Without a network: --bundled, or --file with a list that was downloaded elsewhere`
  return new CreditError({ code: 'PROVIDER_UNAVAILABLE', message, cause: error.cause })
}

function print(result: SyncRatesResult, own: boolean, output: Output): void {
  const { inserted, changed, held, accepted, gone, unchanged, unknownKeys, written } = result
  for (const modelId of inserted) output.say(`new      ${modelId}`)
  for (const change of [...changed, ...accepted]) {
    output.say(`changed  ${change.modelId}`)
    for (const { path, from, to } of change.moves)
      output.say(`           ${path}: ${from ?? 'none'} -> ${to ?? 'none'}`)
  }
  for (const { modelId, reasons } of held) output.say(`WAITS    ${modelId}: ${reasons.join('; ')}`)
  for (const modelId of gone) output.say(`gone     ${modelId} (its price stays)`)
  for (const [modelId, keys] of Object.entries(unknownKeys))
    output.say(`not understood: ${modelId}: ${keys.join(', ')}`)
  const counts = [
    `${result.listed} listed`,
    `${inserted.length} new`,
    `${changed.length + accepted.length} changed`,
    `${unchanged} unchanged`,
    `${held.length} waiting`,
    ...(own ? ['a list of your own: other models are left as they are'] : [`${gone.length} gone`]),
  ]
  output.say(`${counts.join(', ')}; ${written === null ? 'dry run, nothing was written' : `${written} rows written`}`)
  if (held.length > 0) output.say('To accept changes that wait: --accept <model>[,<model>], or --accept-all')
}
