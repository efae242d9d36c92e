import { creditsReceipt, withCredits } from '@layers/credits/ai'
import { protectedRoute, toBalanceBody } from '@layers/credits/next'
import { generateText } from 'ai'
import { generateBody } from '@/lib/chat-request'
import { getCredits, routeOptions } from '@/lib/credits'
import { gateway } from '@/lib/gateway'
import { defaultModel } from '@/lib/models'

const MAX_BODY_BYTES = 128 * 1024

/** One prompt, one answer, and what it cost. */
export const POST = (request: Request) =>
  protectedRoute({ ...routeOptions(), body: generateBody, maxBodyBytes: MAX_BODY_BYTES }, async ({ user, body }) => {
    const credits = getCredits()
    const model = body.model ?? defaultModel()
    const generate = withCredits(generateText, { credits, userId: user.id, feature: 'generate' })
    const result = await generate({ model: gateway()(model), prompt: body.prompt, abortSignal: request.signal })
    const receipt = creditsReceipt(result)
    const { inputTokens, outputTokens } = result.usage
    return Response.json({
      text: result.text,
      model,
      charge: { credits: receipt?.charged, estimated: receipt?.estimated, inputTokens, outputTokens },
      balance: toBalanceBody(await credits.getBalance({ userId: user.id })),
    })
  })(request)
