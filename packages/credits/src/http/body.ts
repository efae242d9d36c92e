import type { z } from 'zod'
import { type CreditError, invalidInput, invalidIssues } from '../core/errors.ts'

/** Longest body that is read unless a route says otherwise, in bytes. */
export const DEFAULT_MAX_BODY_BYTES = 16_384

/**
 * Reads and checks a JSON body.
 *
 * @param maxBytes longest body accepted, in bytes; reading stops there. Default 16,384
 * @throws CreditError `INVALID_INPUT` for another content type, a longer body, text that is not JSON, and everything
 * that the schema refuses
 * @example const { prompt } = await readJson(request, z.strictObject({ prompt: z.string() }))
 */
export async function readJson<Body>(
  request: Request,
  schema: z.ZodType<Body>,
  maxBytes: number = DEFAULT_MAX_BODY_BYTES,
): Promise<Body> {
  const contentType = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (contentType !== 'application/json') throw invalid('Send the body as content-type: application/json')
  const text = await readText(request, maxBytes)
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw invalid('The body is not valid JSON')
  }
  return parsed(schema, json)
}

async function readText(request: Request, maxBytes: number): Promise<string> {
  if (!request.body) return ''
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let bytes = 0
  let text = ''
  try {
    // The declared length may be wrong, so the bytes that arrive are counted.
    for await (const chunk of readChunks(request.body)) {
      bytes += chunk.byteLength
      if (bytes > maxBytes)
        throw invalid(`The body is longer than ${maxBytes} bytes, the \`maxBodyBytes\` of this route`)
      text += decoder.decode(chunk, { stream: true })
    }
    return text + decoder.decode()
  } catch (error) {
    if (error instanceof TypeError) throw invalid('The body is not valid UTF-8')
    throw error
  }
}

/** Web streams are not async iterable everywhere yet (Safari, some edge runtimes). */
async function* readChunks(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } finally {
    // Ends the upload of a body that was refused half-way. If that fails, the answer is the same.
    await reader.cancel().catch(() => undefined)
  }
}

/** Reads a query string by a schema. A name that is given twice is refused: which one counts would be a guess. */
export function readQuery<Query>(url: URL, schema: z.ZodType<Query>): Query {
  const values: Record<string, string> = Object.create(null)
  for (const [name, value] of url.searchParams) {
    if (name in values) throw invalidInput(name, 'given more than once')
    values[name] = value
  }
  return parsed(schema, { ...values })
}

function parsed<Value>(schema: z.ZodType<Value>, value: unknown): Value {
  const result = schema.safeParse(value)
  if (!result.success) throw invalidIssues(result.error.issues, result.error)
  return result.data
}

function invalid(message: string): CreditError<'INVALID_INPUT'> {
  return invalidInput('', message)
}
