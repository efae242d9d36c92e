import { withProblems } from '@layers/credits/next'
import { getCredits } from '@/lib/credits'
import { logError } from '@/lib/log'

/** 200 when the app can serve: configured, and the database answers. */
export const GET = withProblems(
  async () => {
    await getCredits().getMargins()
    return Response.json({ status: 'ok' }, { headers: { 'cache-control': 'no-store' } })
  },
  { onError: logError },
)
