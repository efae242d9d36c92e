import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { messageOf } from '../errors.ts'
import { readBody } from '../http/body.ts'
import type { Handler } from '../http/front-door.ts'
import { replyJson } from '../http/reply.ts'
import { DEV_KEYS } from '../keys.ts'
import { bill, type Call, finish, type GatewayContext } from './call.ts'
import { clientList, findModel, type Model } from './catalogue.ts'
import { GatewayFailure } from './failure.ts'
import type { JournalEntry } from './journal.ts'
import { answerLanguage } from './language.ts'
import type { LanguageBody } from './language-plan.ts'
import {
  answerDecision,
  answerEmbedding,
  answerImage,
  answerReranking,
  answerSpeech,
  answerTranscription,
} from './media.ts'
import { originAnswer } from './origin.ts'
import { lastQuestion } from './prompt.ts'
import { readScenario, ScenarioError } from './scenario.ts'
import { answerVideo, startVideo, videoStatus } from './video.ts'

/** Images and audio travel as base64 in the body. */
const MAX_BODY_BYTES = 64 << 20

interface Kind {
  answer: (call: Call<never>) => Promise<void>
  /** The types of models that can do it; a language model may also paint. */
  types: readonly string[]
}

const KINDS: Record<string, Kind> = {
  '/language-model': { answer: answerLanguage, types: ['language'] },
  '/embedding-model': { answer: answerEmbedding, types: ['embedding'] },
  '/image-model': { answer: answerImage, types: ['image', 'language'] },
  '/reranking-model': { answer: answerReranking, types: ['reranking'] },
  '/speech-model': { answer: answerSpeech, types: ['speech'] },
  '/transcription-model': { answer: answerTranscription, types: ['transcription'] },
  '/decision-model': { answer: answerDecision, types: ['decision', 'evaluation'] },
  '/video-model': { answer: answerVideo, types: ['video'] },
  '/video-model/start': { answer: startVideo, types: ['video'] },
}

/**
 * The development model gateway: speaks the AI Gateway's protocol (version 4), answers by script instead of by
 * model, bills exactly what the public price list says and remembers every call.
 */
export function createModelGateway(context: GatewayContext): Record<'/v4/ai' | '/v1', Handler> {
  return {
    '/v4/ai': (req, res, path, url) => guarded(res, () => answerProtocol(context, req, res, path, url)),
    '/v1': (req, res, path, url) =>
      guarded(res, () =>
        replyJson(
          res,
          200,
          originAnswer(context.journal, path, url.searchParams, () => requireKey(req)),
        ),
      ),
  }
}

async function guarded(res: ServerResponse, work: () => Promise<void> | void): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof GatewayFailure)) throw error
    replyJson(res, error.status, error.body())
  }
}

function requireKey(req: IncomingMessage): void {
  const key = /^Bearer\s+(\S+)$/i.exec(req.headers.authorization ?? '')?.[1]
  if (key === DEV_KEYS.gatewayApiKey || key?.startsWith('dev-')) return
  const message = 'Authentication failed. The local model gateway wants the key that "pnpm stack env" prints.'
  throw new GatewayFailure(401, message)
}

async function answerProtocol(
  context: GatewayContext,
  req: IncomingMessage,
  res: ServerResponse,
  path: string,
  url: URL,
): Promise<void> {
  if (path === '/_dev/journal') return answerJournal(context, req, res)
  requireKey(req)
  if (path === '/config') return replyJson(res, 200, clientList())
  const raw = await readBody(req, MAX_BODY_BYTES)
  if (raw === undefined) throw new GatewayFailure(413, 'The request is too large', { type: 'invalid_request_error' })
  const body = parse(raw)
  if (path === '/video-model/status') return replyJson(res, 200, videoStatus(body))
  const kind = KINDS[path]
  if (!kind || req.method !== 'POST') throw new GatewayFailure(404, `No such route: ${url.pathname}`)
  const call = openCall(context, req, res, path, body, kind, raw.length)
  try {
    await kind.answer(call as Call<never>)
  } catch (error) {
    fail(call, error)
  }
}

function answerJournal(context: GatewayContext, req: IncomingMessage, res: ServerResponse): void {
  if (req.method === 'DELETE') context.journal.clear()
  replyJson(res, 200, { entries: context.journal.all() })
}

function parse(raw: Buffer): Record<string, unknown> {
  try {
    return JSON.parse(raw.toString() || '{}') as Record<string, unknown>
  } catch {
    throw new GatewayFailure(400, 'The request body is not JSON')
  }
}

function openCall(
  context: GatewayContext,
  req: IncomingMessage,
  res: ServerResponse,
  path: string,
  body: Record<string, unknown>,
  kind: Kind,
  promptBytes: number,
): Call {
  const id = String(req.headers['ai-language-model-id'] ?? req.headers['ai-model-id'] ?? '')
  const model = requireModel(id, kind)
  const options = (body.providerOptions ?? {}) as Record<string, Record<string, unknown>>
  const scenario = scenarioOf(body, options.dev)
  const { user, tags, serviceTier } = options.gateway ?? {}
  const entry: JournalEntry = {
    id: `gen_${randomUUID().replaceAll('-', '').slice(0, 26)}`,
    kind: path.slice(1).replace(/-model.*/, ''),
    model: id,
    served: scenario.served ?? id,
    streamed: req.headers['ai-language-model-streaming'] === 'true',
    startedAt: new Date().toISOString(),
    endedAt: null,
    promptBytes,
    units: {},
    reasoningTokens: 0,
    cost: null,
    charged: null,
    byok: scenario.byok ?? false,
    outcome: 'running',
    status: 200,
    finishReason: null,
    user: typeof user === 'string' ? user : null,
    tags: Array.isArray(tags) ? tags.map(String) : [],
    readableAt: 0,
  }
  context.journal.add(entry)
  const gone = goneSignal(res)
  const tier = typeof serviceTier === 'string' ? serviceTier : undefined
  return { context, entry, model, body, scenario, serviceTier: tier, req, res, gone }
}

function requireModel(id: string, kind: Kind): Model {
  const model = findModel(id)
  if (!model) {
    throw new GatewayFailure(404, `Model '${id}' not found`, { type: 'model_not_found', param: { modelId: id } })
  }
  if (!kind.types.includes(model.type)) {
    throw new GatewayFailure(400, `Model '${id}' is a ${model.type} model and cannot be used here`)
  }
  return model
}

function scenarioOf(body: Record<string, unknown>, options: unknown) {
  const { prompt, text, query, values } = body as LanguageBody & { text?: string; query?: string; values?: string[] }
  const words = Array.isArray(prompt) ? lastQuestion(prompt) : (prompt ?? text ?? query ?? values?.join('\n') ?? '')
  try {
    return readScenario(String(words), options)
  } catch (error) {
    if (error instanceof ScenarioError) throw new GatewayFailure(400, error.message)
    throw error
  }
}

/** Aborted when the caller closes the connection before the answer is complete. */
function goneSignal(res: ServerResponse): AbortSignal {
  const controller = new AbortController()
  res.once('close', () => {
    if (!res.writableFinished) controller.abort()
  })
  return controller.signal
}

function fail(call: Call, error: unknown): void {
  const { res, entry } = call
  if (call.gone.aborted) {
    bill(call, entry.units, entry.reasoningTokens)
    finish(call, 'aborted', 'abort')
    return
  }
  const failure = error instanceof GatewayFailure ? error : new GatewayFailure(500, messageOf(error))
  entry.status = failure.status
  finish(call, 'error', 'error')
  if (res.headersSent) res.destroy()
  else replyJson(res, failure.status, failure.body(entry.id), { 'retry-after-ms': '20' })
}
