import { randomUUID } from 'node:crypto'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { replyJson } from '../http/reply.ts'
import { begin, bill, type Call, finish, gatewayMetadata } from './call.ts'
import { scriptedFailure } from './failure.ts'
import { type LanguageBody, type LanguagePlan, planAnswer, unitsOf, usageOf } from './language-plan.ts'

/** Answers a language call, whole or as a stream. */
export async function answerLanguage(call: Call<LanguageBody>): Promise<void> {
  await begin(call)
  const plan = planAnswer(call)
  if (call.entry.streamed) await stream(call, plan)
  else generate(call, plan)
}

function generate(call: Call<LanguageBody>, plan: LanguagePlan): void {
  const all = { reasoning: plan.reasoning.length, text: plan.text.length }
  bill(call, unitsOf(call, plan, all), all.reasoning)
  const content = [
    ...(plan.reasoning.length > 0 ? [{ type: 'reasoning', text: plan.reasoning.join('') }] : []),
    ...(plan.text.length > 0 ? [{ type: 'text', text: plan.text.join('') }] : []),
    ...(plan.tool ? [toolPart(plan.tool)] : []),
  ]
  finish(call, 'finished', plan.finishReason)
  replyJson(call.res, 200, {
    content,
    finishReason: { unified: plan.finishReason, raw: plan.finishReason },
    ...(call.scenario.nousage ? {} : { usage: usageOf(call) }),
    warnings: [],
    response: responseMetadata(call),
    providerMetadata: gatewayMetadata(call),
  })
}

function toolPart(tool: NonNullable<LanguagePlan['tool']>): Record<string, unknown> {
  return { type: 'tool-call', toolCallId: `call_${randomUUID().slice(0, 8)}`, toolName: tool.name, input: tool.input }
}

function responseMetadata(call: Call<LanguageBody>): Record<string, unknown> {
  return { id: `resp_${call.entry.id.slice(4)}`, modelId: call.entry.served, timestamp: call.entry.startedAt }
}

/** Thrown inside a stream that must end without another word. */
class Cut extends Error {}

async function stream(call: Call<LanguageBody>, plan: LanguagePlan): Promise<void> {
  const { res, scenario } = call
  const sent = { reasoning: 0, text: 0 }
  const billSent = () => bill(call, unitsOf(call, plan, sent), sent.reasoning)
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  // The prompt is paid for from here on, also when the caller leaves before the first word.
  billSent()
  const send = sender(call)
  try {
    await send({ type: 'stream-start', warnings: [] })
    await send({ type: 'response-metadata', ...responseMetadata(call) })
    await sendReasoning(call, plan, sent, send)
    await sendText(call, plan, sent, send, billSent)
    if (plan.tool) await sendTool(plan.tool, call, send)
    billSent()
    if (!scenario.nofinish) await send(finishPart(call, plan))
    finish(call, 'finished', plan.finishReason)
    res.end('data: [DONE]\n\n')
  } catch (error) {
    const full = { reasoning: plan.reasoning.length, text: plan.text.length }
    if (call.gone.aborted && scenario.billfull) Object.assign(sent, full)
    billSent()
    if (call.gone.aborted) finish(call, 'aborted', 'abort')
    else if (!(error instanceof Cut)) throw error
  }
}

type Send = (part: Record<string, unknown>) => Promise<void>

/** Sends parts at the pace of the scenario and of the reader; throws when the reader has gone. */
function sender(call: Call<LanguageBody>): Send {
  const { res, gone } = call
  const pause = call.scenario.delay ?? call.context.streamDelayMs
  return async (part) => {
    gone.throwIfAborted()
    const flowing = res.write(`data: ${JSON.stringify(part)}\n\n`)
    if (!flowing) await drained(call)
    // Without a pause, other connections (and the news that the caller has gone) still get their turn.
    if (pause > 0) await sleep(pause, undefined, { signal: gone })
    else await setImmediate(undefined, { signal: gone })
  }
}

function drained(call: Call<LanguageBody>): Promise<void> {
  return new Promise((resolve) => {
    call.res.once('drain', resolve)
    call.gone.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** The generation id comes with the first content part, so that it survives an abort. */
function firstPart(call: Call<LanguageBody>): Record<string, unknown> {
  return { providerMetadata: { gateway: { generationId: call.entry.id } } }
}

async function sendReasoning(
  call: Call<LanguageBody>,
  plan: LanguagePlan,
  sent: { reasoning: number },
  send: Send,
): Promise<void> {
  if (plan.reasoning.length === 0) return
  await send({ type: 'reasoning-start', id: 'r0', ...firstPart(call) })
  for (const delta of plan.reasoning) {
    sent.reasoning += 1
    await send({ type: 'reasoning-delta', id: 'r0', delta })
  }
  await send({ type: 'reasoning-end', id: 'r0' })
}

async function sendText(
  call: Call<LanguageBody>,
  plan: LanguagePlan,
  sent: { text: number },
  send: Send,
  billSent: () => void,
): Promise<void> {
  const { scenario } = call
  const first = plan.reasoning.length === 0 ? firstPart(call) : {}
  if (plan.text.length === 0 && plan.tool) return
  await send({ type: 'text-start', id: 't0', ...first })
  for (const delta of plan.text) {
    if (sent.text === scenario.at) await interrupt(call, send, billSent)
    sent.text += 1
    await send({ type: 'text-delta', id: 't0', delta })
  }
  if (scenario.at !== undefined && scenario.at >= plan.text.length) await interrupt(call, send, billSent)
  await send({ type: 'text-end', id: 't0' })
}

/** What the scenario wants to happen in the middle of an answer. */
async function interrupt(call: Call<LanguageBody>, send: Send, billSent: () => void): Promise<void> {
  const { scenario, res } = call
  billSent()
  if (scenario.drop) {
    finish(call, 'dropped')
    res.destroy()
    throw new Cut()
  }
  if (scenario.stall) await sleep(2 ** 30, undefined, { signal: call.gone })
  if (scenario.error === undefined) return
  const { message, type, status } = scriptedFailure(scenario.error)
  await send({ type: 'error', error: { message, type, statusCode: status } })
  finish(call, 'error', 'error')
  res.end('data: [DONE]\n\n')
  throw new Cut()
}

async function sendTool(tool: NonNullable<LanguagePlan['tool']>, call: Call<LanguageBody>, send: Send): Promise<void> {
  const part = toolPart(tool)
  const id = part.toolCallId
  await send({ type: 'tool-input-start', id, toolName: tool.name })
  await send({ type: 'tool-input-delta', id, delta: tool.input })
  await send({ type: 'tool-input-end', id })
  await send({ ...part, ...firstPart(call) })
}

function finishPart(call: Call<LanguageBody>, plan: LanguagePlan): Record<string, unknown> {
  return {
    type: 'finish',
    finishReason: { unified: plan.finishReason, raw: plan.finishReason },
    ...(call.scenario.nousage ? {} : { usage: usageOf(call) }),
    providerMetadata: gatewayMetadata(call),
  }
}
