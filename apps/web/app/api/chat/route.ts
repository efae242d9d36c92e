import { withCredits } from '@layers/credits/ai'
import { problemBody, protectedRoute } from '@layers/credits/next'
import { createUIMessageStreamResponse, streamText, toUIMessageStream } from 'ai'
import { withReceipt } from '@/lib/answer-receipt'
import { chatBody, MAX_CHAT_BYTES, toModelMessages } from '@/lib/chat-request'
import { getCredits, routeOptions } from '@/lib/credits'
import { gateway } from '@/lib/gateway'
import { logError } from '@/lib/log'
import { defaultModel } from '@/lib/models'

/** The conversation's next answer, streamed. Too few credits are a 402 before anything is streamed. */
export const POST = (request: Request) =>
  protectedRoute({ ...routeOptions(), body: chatBody, maxBodyBytes: MAX_CHAT_BYTES }, async ({ user, body }) => {
    const model = body.model ?? defaultModel()
    const chat = withCredits(streamText, { credits: getCredits(), userId: user.id, feature: 'chat' })
    const result = await chat({
      model: gateway()(model),
      messages: toModelMessages(body.messages),
      abortSignal: request.signal,
      // The stream's own error part tells the browser, see below.
      onError: ({ error }) => logError(error),
    })
    const stream = toUIMessageStream({
      stream: result.stream,
      messageMetadata: ({ part }) => (part.type === 'start' ? { model } : undefined),
      onError: (error) => JSON.stringify(problemBody(error, routeOptions())),
    })
    return createUIMessageStreamResponse({ stream: stream.pipeThrough(withReceipt(result)) })
  })(request)
