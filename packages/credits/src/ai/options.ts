import type { Soon } from '../core/soon.ts'
import type { CallParams } from './demand.ts'
import { jsonSchemaOf, type Modality } from './sdk.ts'

type Options = Readonly<Record<string, unknown>>

/**
 * What the provider call will be given, as far as the function's options tell: the reservation has to be awaited
 * before the SDK converts them. The meter looks again at what is really sent.
 */
export function callParamsOf(modality: Modality, options: Options): Soon<CallParams> {
  switch (modality) {
    case 'language':
      return languageParams(options)
    case 'embedding':
      return { ...options, values: options.values ?? [options.value] }
    case 'image':
    case 'video':
      return { ...options, ...mediaPrompt(options.prompt) }
    default:
      return options
  }
}

/** What bounds a language model's call. */
function languageParams(options: Options): Soon<CallParams> {
  const { maxOutputTokens, providerOptions, schema, tools } = options
  const prompt = promptOf(options)
  const plain = { prompt, tools: undefined, responseFormat: formatOf(options), maxOutputTokens, providerOptions }
  // Only schemas have to be waited for.
  if (schema === undefined && (typeof tools !== 'object' || tools === null)) return plain
  return withSchemas(plain, options)
}

async function withSchemas(plain: CallParams, options: Options): Promise<CallParams> {
  const tools = await toolsOf(options)
  // `generateObject` takes the schema itself, and `output` is a word there.
  const { schema } = options
  return schema === undefined
    ? { ...plain, tools }
    : { ...plain, tools, responseFormat: { schema: await jsonSchemaOf(schema) } }
}

/** Instructions, messages and prompt as one list of messages. */
function promptOf({ instructions, system, prompt, messages }: Options): unknown[] {
  const list: unknown[] = []
  for (const part of [instructions ?? system, prompt, messages]) {
    if (part === undefined || part === null) continue
    if (typeof part === 'string') list.push({ content: part })
    else if (Array.isArray(part)) for (const message of part) list.push(message)
    else list.push(part)
  }
  return list
}

interface ToolLike {
  type?: unknown
  id?: unknown
  args?: unknown
  description?: unknown
  inputSchema?: unknown
  inputExamples?: unknown
  strict?: unknown
  providerOptions?: unknown
}

const UNKNOWN_DESCRIPTION = ' '.repeat(1_000)

// Tools are made once and used for many calls; turning a schema into JSON is not cheap.
const schemas = new WeakMap<object, unknown>()

async function toolsOf({ tools, activeTools }: Options): Promise<unknown[] | undefined> {
  if (typeof tools !== 'object' || tools === null) return undefined
  const names = Array.isArray(activeTools) ? (activeTools as string[]) : Object.keys(tools)
  return Promise.all(names.map((name) => toolOf(name, (tools as Record<string, ToolLike>)[name])))
}

async function toolOf(name: string, tool: ToolLike | undefined): Promise<unknown> {
  if (tool === undefined) return { name }
  if (tool.type === 'provider') return { type: 'provider', id: tool.id, args: tool.args }
  const { inputExamples, strict, providerOptions } = tool
  // A description that is made per call is not known yet.
  const description = typeof tool.description === 'function' ? UNKNOWN_DESCRIPTION : tool.description
  const inputSchema = await cachedSchema(tool)
  return { type: 'function', name, description, inputSchema, inputExamples, strict, providerOptions }
}

async function cachedSchema(tool: ToolLike): Promise<unknown> {
  if (schemas.has(tool)) return schemas.get(tool)
  const schema = await jsonSchemaOf(tool.inputSchema)
  schemas.set(tool, schema)
  return schema
}

function formatOf({ output }: Options): unknown {
  if (typeof output !== 'object' || output === null) return undefined
  return (output as { responseFormat?: unknown }).responseFormat
}

function mediaPrompt(prompt: unknown): CallParams {
  if (typeof prompt !== 'object' || prompt === null) return { prompt }
  const { text, images, image, mask } = prompt as Record<string, unknown>
  return { prompt: text, mask, files: Array.isArray(images) ? images : [image].filter((file) => file !== undefined) }
}
