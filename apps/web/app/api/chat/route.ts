import { withCredits } from '@layers/credits/ai'
import { protectedRoute } from '@layers/credits/next'
import { createUIMessageStreamResponse, streamText, toUIMessageStream } from 'ai'
import { chatBody, MAX_CHAT_BYTES, toModelMessages } from '@/lib/chat-request'
import { getCredits, routeOptions } from '@/lib/credits'
import { gateway } from '@/lib/gateway'
import { defaultModel } from '@/lib/models'

/** The conversation's next answer, streamed. Too few credits are a 402 before anything is streamed. */
export const POST = (request: Request) =>
  protectedRoute({ ...routeOptions(), body: chatBody, maxBodyBytes: MAX_CHAT_BYTES }, async ({ user, body }) => {
    const stream = withCredits(streamText, { credits: getCredits(), userId: user.id, feature: 'chat' })
    const result = await stream({
      model: gateway()(body.model ?? defaultModel()),
      messages: toModelMessages(body.messages),
      abortSignal: request.signal,
    })
    return createUIMessageStreamResponse({ stream: toUIMessageStream({ stream: result.stream }) })
  })(request)
