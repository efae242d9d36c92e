import { randomUUID } from 'node:crypto'
import { replyJson } from '../http/reply.ts'
import { begin, bill, type Call, finish, gatewayMetadata } from './call.ts'
import { GatewayFailure } from './failure.ts'

/** The body of a video call. */
export interface VideoBody {
  prompt?: string
  n?: number
  duration?: number
  resolution?: string
  generateAudio?: boolean
}

const DEFAULT_SECONDS = 5

/** The smallest file that is recognised as MP4: its type box. */
const MP4 = Buffer.from('0000001866747970697336d0000002006973366d6d703431', 'hex').toString('base64')

/** The client asks in pixels, the price list says 720p: the shorter side counts. */
function lines(resolution: string | undefined): string | undefined {
  const sides = /^(\d+)x(\d+)$/.exec(resolution ?? '')
  return sides ? `${Math.min(Number(sides[1]), Number(sides[2]))}p` : resolution
}

function film(call: Call<VideoBody>): Record<string, unknown> {
  const { n = 1, duration, resolution, generateAudio } = call.body
  const seconds = n * (call.scenario.seconds ?? duration ?? DEFAULT_SECONDS)
  bill(call, { video: { seconds, resolution: lines(resolution), audio: generateAudio } })
  const videos = Array.from({ length: n }, () => ({ type: 'base64', data: MP4, mediaType: 'video/mp4' }))
  finish(call, 'finished', 'stop')
  return { videos, warnings: [], providerMetadata: gatewayMetadata(call) }
}

/** Films at once; the answer is the only event of a stream. */
export async function answerVideo(call: Call<VideoBody>): Promise<void> {
  await begin(call)
  call.res.writeHead(200, { 'content-type': 'text/event-stream' })
  call.res.end(`data: ${JSON.stringify({ type: 'result', ...film(call) })}\n\n`)
}

const operations = new Map<string, { result: Record<string, unknown>; readyAt: number }>()

/** Begins to film; the result is fetched by the operation's id. */
export async function startVideo(call: Call<VideoBody>): Promise<void> {
  await begin(call)
  const id = randomUUID()
  operations.set(id, { result: film(call), readyAt: Date.now() + (call.scenario.delay ?? 0) })
  replyJson(call.res, 200, {
    operation: { id },
    warnings: [],
    providerMetadata: { gateway: { generationId: call.entry.id } },
  })
}

/** What has become of an operation. */
export function videoStatus(body: { operation?: { id?: string } }): Record<string, unknown> {
  const operation = operations.get(body.operation?.id ?? '')
  if (!operation) throw new GatewayFailure(404, 'No such operation')
  return operation.readyAt > Date.now() ? { status: 'pending' } : { status: 'completed', ...operation.result }
}
