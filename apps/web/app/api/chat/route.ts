import { problemOf, withCredits, withCreditsPart } from '@layers/credits/ai'
import { protectedRoute } from '@layers/credits/http'
import { createUIMessageStreamResponse, streamText, toUIMessageStream } from 'ai'
import { chatBody, MAX_CHAT_BYTES, toModelMessages } from '@/lib/chat/chat-request'
import { defaultModel } from '@/lib/chat/models'
import { getCredits, routeOptions, upgradeUrl } from '@/lib/server/credits'
import { gateway } from '@/lib/server/gateway'
import { logError } from '@/lib/server/log'
import { workAfterResponse } from '@/lib/server/work-after-response'

/** The conversation's next answer, streamed. Too few credits are a 402 before anything is streamed. */
export const POST = protectedRoute(
  { ...routeOptions, body: chatBody, maxBodyBytes: MAX_CHAT_BYTES },
  async ({ request, user, body }) => {
    const model = body.model ?? defaultModel()
    const chat = withCredits(streamText, {
      credits: getCredits(),
      userId: user.id,
      feature: 'chat',
      onError: logError,
      waitUntil: workAfterResponse(),
    })
    const result = await chat({
      model: gateway()(model),
      messages: toModelMessages(body.messages),
      abortSignal: request.signal,
      // The browser gets the stream's own error part, see below.
      onError: ({ error }) => logError(error),
    })
    const stream = toUIMessageStream({
      stream: result.stream,
      messageMetadata: ({ part }) => {
        if (part.type === 'start') return { model }
        return part.type === 'finish' ? { finishReason: part.finishReason } : undefined
      },
      onError: (error) => JSON.stringify(problemOf(error, { upgradeUrl: upgradeUrl() })),
    })
    return createUIMessageStreamResponse({
      stream: withCreditsPart(stream, result),
      headers: { 'cache-control': 'no-store' },
    })
  },
)
