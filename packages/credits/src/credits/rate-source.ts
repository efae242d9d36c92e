import { CreditError } from '../core/errors.ts'
import { invalidInput } from '../core/money.ts'

/** Where a price list comes from. */
export type RateSource =
  /** `GET` of a list in the form of the AI Gateway's `/v1/models`. */
  | {
      /** Default: the AI Gateway's public list. `https`, or `http` on this machine. */
      url?: string | undefined
      headers?: Readonly<Record<string, string>> | undefined
      fetch?: typeof fetch | undefined
      /** For the whole answer. Default 15,000. */
      timeoutMs?: number | undefined
      /** Default 16 MiB. */
      maxBytes?: number | undefined
    }
  /** A list that was read already, as bytes or text of JSON, and its name for the new rows. */
  | { text: string | Uint8Array<ArrayBuffer>; name: string }
  /** `gateway` of `@ai-sdk/gateway`. Its list has four of the prices: it confirms prices, and adds new models. */
  | { gateway: { getAvailableModels(): PromiseLike<unknown> } }

/** A price list as it came, before anything in it is believed. */
export interface RawList {
  raw: unknown
  source: string
  sourceHash: string
}

const GATEWAY_MODELS = 'https://ai-gateway.vercel.sh/v1/models'
const TIMEOUT_MS = 15_000
const MAX_BYTES = 16 * 1024 * 1024

/**
 * Reads a price list.
 *
 * @throws CreditError `PROVIDER_UNAVAILABLE` when it cannot be had, `INVALID_INPUT` when it is not JSON
 */
export async function readRateSource(input: RateSource): Promise<RawList> {
  if ('text' in input) return parsed(typeof input.text === 'string' ? encoded(input.text) : input.text, input.name)
  if ('gateway' in input) {
    const list = await input.gateway.getAvailableModels().then(undefined, (cause: unknown) => {
      throw unavailable('getAvailableModels failed', cause)
    })
    return { raw: list, source: 'getAvailableModels', sourceHash: await sha256(encoded(JSON.stringify(list) ?? '')) }
  }
  const { url = GATEWAY_MODELS } = input
  return parsed(await download(checkedUrl(url), input), url)
}

function checkedUrl(text: string): URL {
  const url = URL.parse(text)
  const local = url !== null && /^(localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname)
  // Over plain http anyone on the way can change the prices.
  if (url?.protocol === 'https:' || (local && url.protocol === 'http:')) return url
  throw invalidInput('url', 'must be https, or http on this machine')
}

async function download(
  url: URL,
  { headers, timeoutMs = TIMEOUT_MS, maxBytes = MAX_BYTES, ...options }: Extract<RateSource, { url?: unknown }>,
): Promise<Uint8Array<ArrayBuffer>> {
  const { fetch: get = fetch } = options
  try {
    // The signal ends the body too. Redirects are refused: the list is where the operator said, or nowhere.
    const response = await get(url, {
      headers: { accept: 'application/json', ...headers },
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    })
    if (response.status !== 200) {
      await response.body?.cancel()
      throw unavailable(`${url.host} answered ${response.status}`)
    }
    return await bytesOf(response, maxBytes)
  } catch (cause) {
    if (CreditError.isInstance(cause)) throw cause
    throw unavailable(`${url.host} did not answer`, cause)
  }
}

async function bytesOf(response: Response, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let size = 0
  const reader = response.body?.getReader()
  // The declared length may lie, so what arrives is what counts.
  for (let part = await reader?.read(); part !== undefined && !part.done; part = await reader?.read()) {
    size += part.value.byteLength
    if (size > maxBytes) {
      await reader?.cancel()
      throw invalidInput('', `the list is longer than ${maxBytes} bytes`)
    }
    chunks.push(part.value)
  }
  return new Uint8Array(await new Blob(chunks as Uint8Array<ArrayBuffer>[]).arrayBuffer())
}

async function parsed(bytes: Uint8Array<ArrayBuffer>, source: string): Promise<RawList> {
  let raw: unknown
  try {
    raw = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw invalidInput('', `${source} is not JSON`)
  }
  return { raw, source, sourceHash: await sha256(bytes) }
}

function encoded(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text)
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return `sha256:${[...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`
}

function unavailable(message: string, cause?: unknown): CreditError {
  return new CreditError({ code: 'PROVIDER_UNAVAILABLE', message: `The price list cannot be had: ${message}`, cause })
}
