import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const require = createRequire(import.meta.url)

/** The provider packages of the AI SDK whose id lists are read. */
export const PACKAGES = [
  'amazon-bedrock',
  'anthropic',
  'cerebras',
  'cohere',
  'deepseek',
  'fireworks',
  'google',
  'google-vertex',
  'groq',
  'mistral',
  'openai',
  'perplexity',
  'togetherai',
  'xai',
] as const

/** One id of a package's type lists. */
export interface ListedModel {
  /** As a model of the package says it, without its API. */
  provider: (typeof PACKAGES)[number]
  modelId: string
}

function declarations(name: string): string {
  const folder = dirname(require.resolve(`@ai-sdk/${name}/package.json`))
  const files = readdirSync(join(folder, 'dist'), { recursive: true, encoding: 'utf8' })
  return files
    .filter((file) => file.endsWith('.d.ts'))
    .map((file) => readFileSync(join(folder, 'dist', file), 'utf8'))
    .join('\n')
}

/** `type XModelId = 'a' | 'b' | (string & {})`, and `declare const xModelIds: readonly ['a', 'b']`. */
const LISTS = [/type \w*Model\w*I[dD]s? = ((?:[^;{]|\{\})*);/g, /declare const \w*ModelIds: readonly \[([^\]]*)\]/g]
/** `declare const xModelEntries: { 'a': { ... }; 'b': { ... } }`: the ids are the outermost keys. */
const TABLES = /declare const \w*(?:[mM]odelEntries|[mM]odelDefinitions|[mM]odels|[mM]odelAliases): \{/g

/** The keys of an object type, of its outermost braces alone. */
function outermostKeys(text: string, from: number): string[] {
  const keys: string[] = []
  let depth = 1
  for (const match of text.slice(from).matchAll(/[{}]|(?:readonly )?['"]?([\w./:@-]+)['"]?\??:/g)) {
    if (match[0] === '{') depth++
    else if (match[0] === '}') depth--
    else if (depth === 1 && match[1] !== undefined) keys.push(match[1])
    if (depth === 0) break
  }
  return keys
}

/** Every id in the type lists of a provider package. */
export function listedModels(provider: (typeof PACKAGES)[number]): ListedModel[] {
  const text = declarations(provider)
  const lists = LISTS.flatMap((pattern) => [...text.matchAll(pattern)].map((match) => match[1] ?? ''))
  // What stands in brackets names a list of ids, not an id: `OpenAIModelIds['chat']`.
  const unions = lists.map((list) => list.replaceAll(/\[['"][^\]]*\]/g, ''))
  const quoted = unions.flatMap((list) => [...list.matchAll(/['"]([^'"\n]+)['"]/g)].map((match) => match[1] ?? ''))
  const keys = [...text.matchAll(TABLES)].flatMap((match) => outermostKeys(text, match.index + match[0].length))
  return [...new Set([...quoted, ...keys])].sort().map((modelId) => ({ provider, modelId }))
}
