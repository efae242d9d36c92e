/**
 * Builds supabase/rates/models.json, the price list in the form of the AI Gateway's `/v1/models`: the development
 * gateway bills by it, and the package carries it for `credits rates sync --bundled`.
 * `--check` compares instead of writing: exit 1 when the committed file is out of date.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { seedRates } from './build-rates.ts'
import { root } from './lib/paths.ts'

const FILE = join(root, 'supabase/rates/models.json')

/** The whole file: a model a line, in the order of their ids. A model without a known price has an empty price. */
export function priceList(): string {
  const rows = seedRates().rates.map(({ modelId, type, pricing, contextWindow, maxOutputTokens }) =>
    JSON.stringify({
      id: modelId,
      object: 'model',
      owned_by: modelId.split('/')[0],
      type,
      ...(contextWindow !== null && { context_window: contextWindow }),
      ...(maxOutputTokens !== null && { max_tokens: maxOutputTokens }),
      pricing: pricing ?? {},
    }),
  )
  return `{"object":"list","data":[\n${rows.join(',\n')}\n]}\n`
}

function main(): void {
  const list = priceList()
  if (!process.argv.includes('--check')) {
    writeFileSync(FILE, list)
    return
  }
  if (readFileSync(FILE, 'utf8') === list) return
  process.stderr.write('supabase/rates/models.json is out of date: run node scripts/build-price-list.ts\n')
  process.exitCode = 1
}

if (import.meta.main) main()
