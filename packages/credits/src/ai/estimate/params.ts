import { jsonSchemaOf } from '../sdk-functions.ts'
import type { CallParams, Modality } from '../types.ts'

type Options = Readonly<Record<string, unknown>>

/**
 * The params of the provider call, read off the options of a function of the SDK. The credits are reserved before the
 * SDK converts the options. The meter estimates again from the params that are sent.
 *
 * @example await callParamsOf('language', { model, prompt: 'Hi' })
 */
export async function callParamsOf(modality: Modality, options: Options): Promise<CallParams> {
  return (await readParams(modality, options)) as unknown as CallParams
}

async function readParams(modality: Modality, options: Options): Promise<Options> {
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

async function languageParams(options: Options): Promise<Options> {
  const { maxOutputTokens, providerOptions, schema } = options
  // `generateObject` takes the schema itself. Its `output` is a word.
  const responseFormat = schema === undefined ? formatOf(options) : { schema: await jsonSchemaOf(schema) }
  return {
    prompt: messagesOf(options),
    tools: await toolsOf(options),
    responseFormat,
    maxOutputTokens,
    providerOptions,
  }
}

/** Instructions, messages and prompt as one list of messages. */
function messagesOf({ instructions, system, prompt, messages }: Options): unknown[] {
  const list: unknown[] = []
  for (const entry of [instructions ?? system, prompt, messages]) {
    if (entry === undefined || entry === null) continue
    if (typeof entry === 'string') list.push({ content: entry })
    else if (Array.isArray(entry)) list.push(...entry)
    else list.push(entry)
  }
  return list
}

interface ToolOption {
  type?: unknown
  id?: unknown
  args?: unknown
  description?: unknown
  inputSchema?: unknown
  inputExamples?: unknown
  strict?: unknown
  providerOptions?: unknown
}

/** Stands for a description that is made per call. */
const UNKNOWN_DESCRIPTION = ' '.repeat(1_000)

// An app makes its tools once and uses them for many calls. Converting a schema to JSON is not cheap.
const jsonSchemas = new WeakMap<object, unknown>()

async function toolsOf({ tools, activeTools }: Options): Promise<unknown[] | undefined> {
  if (typeof tools !== 'object' || tools === null) return undefined
  const names = Array.isArray(activeTools) ? (activeTools as string[]) : Object.keys(tools)
  return Promise.all(names.map((name) => toolOf(name, (tools as Record<string, ToolOption>)[name])))
}

async function toolOf(name: string, tool: ToolOption | undefined): Promise<unknown> {
  if (tool === undefined) return { name }
  if (tool.type === 'provider') return { type: 'provider', id: tool.id, name, args: tool.args }
  const { inputExamples, strict, providerOptions } = tool
  const description = typeof tool.description === 'function' ? UNKNOWN_DESCRIPTION : tool.description
  const inputSchema = await cachedSchema(tool)
  return { type: 'function', name, description, inputSchema, inputExamples, strict, providerOptions }
}

async function cachedSchema(tool: ToolOption): Promise<unknown> {
  if (jsonSchemas.has(tool)) return jsonSchemas.get(tool)
  const schema = await jsonSchemaOf(tool.inputSchema)
  jsonSchemas.set(tool, schema)
  return schema
}

function formatOf({ output }: Options): unknown {
  if (typeof output !== 'object' || output === null) return undefined
  return (output as { responseFormat?: unknown }).responseFormat
}

function mediaPrompt(prompt: unknown): Options {
  if (typeof prompt !== 'object' || prompt === null) return { prompt }
  const { text, images, image, mask } = prompt as Options
  return { prompt: text, mask, files: Array.isArray(images) ? images : [image].filter((file) => file !== undefined) }
}
