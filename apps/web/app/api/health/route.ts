import { withProblems } from '@layers/credits/http'
import { databaseAnswers } from '@/lib/server/health'
import { logError } from '@/lib/server/log'

/** 200 when the app can serve: configured, and the database answers. */
export const GET = withProblems(
  async () => {
    await databaseAnswers()
    return Response.json({ status: 'ok' }, { headers: { 'cache-control': 'no-store' } })
  },
  { onError: logError },
)
