import { creditsReceipt, withCredits } from '@layers/credits/ai'
import { protectedRoute, toBalanceBody } from '@layers/credits/http'
import { generateText } from 'ai'
import { generateBody } from '@/lib/chat/chat-request'
import { defaultModel } from '@/lib/chat/models'
import { getCredits, routeOptions } from '@/lib/server/credits'
import { gateway } from '@/lib/server/gateway'
import { logError } from '@/lib/server/log'
import { privateJson } from '@/lib/server/private-json'
import { workAfterResponse } from '@/lib/server/work-after-response'

const MAX_BODY_BYTES = 128 * 1024

/** One prompt, one answer, and what it cost. */
export const POST = protectedRoute(
  { ...routeOptions, body: generateBody, maxBodyBytes: MAX_BODY_BYTES },
  async ({ request, user, body }) => {
    const credits = getCredits()
    const model = body.model ?? defaultModel()
    const generate = withCredits(generateText, {
      credits,
      userId: user.id,
      feature: 'generate',
      onError: logError,
      waitUntil: workAfterResponse(),
    })
    const result = await generate({ model: gateway()(model), prompt: body.prompt, abortSignal: request.signal })
    const receipt = creditsReceipt(result)
    const { inputTokens, outputTokens } = result.usage
    return privateJson({
      text: result.text,
      model,
      charge: {
        credits: receipt?.charged,
        booked: receipt?.booked,
        estimated: receipt?.estimated,
        inputTokens,
        outputTokens,
      },
      balance: toBalanceBody(await credits.getBalance({ userId: user.id })),
    })
  },
)
