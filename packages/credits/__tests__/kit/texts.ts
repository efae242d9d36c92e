import { readFileSync } from 'node:fs'

const root = new URL('../../../../', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, root), 'utf8')

/** Article 1 of the Universal Declaration of Human Rights in many languages, and emoji. */
const ARTICLES = JSON.parse(readFileSync(new URL('articles.json', import.meta.url), 'utf8')) as Record<string, string>

/** Texts of many kinds, by name. */
export const TEXTS: Readonly<Record<string, string>> = {
  ...ARTICLES,
  'English prose of a document': read('docs/concepts.md'),
  'TypeScript code': read('packages/credits/src/core/money.ts'),
  SQL: read('supabase/seed.sql').slice(0, 40_000),
  JSON: read('supabase/rates/gateway-models.json').slice(0, 40_000),
  base64: Buffer.from(read('docs/concepts.md')).toString('base64'),
  hexadecimal: Buffer.from(read('docs/concepts.md')).toString('hex').slice(0, 4000),
  UUIDs: Array.from({ length: 50 }, (_, index) => `0193f7c2-8a4e-7b21-9c3d-${String(index * 7919 + 1e11)}`).join('\n'),
  'numbers in a table': Array.from({ length: 200 }, (_, index) => `${index * 7919}\t${index / 7}`).join('\n'),
}
