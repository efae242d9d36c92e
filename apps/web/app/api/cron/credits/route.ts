import { withProblems } from '@layers/credits/http'
import { requireCronSecret, runCron } from '@/lib/server/cron'
import { logError } from '@/lib/server/log'
import { privateJson } from '@/lib/server/private-json'

export const maxDuration = 300

/** For a scheduler: `Authorization: Bearer <CRON_SECRET>`. Answers 500 where a part of the work failed. */
export const GET = withProblems(
  async (request) => {
    requireCronSecret(request)
    const answer = await runCron()
    const failed = answer.accountsFailed > 0 || answer.estimates.failed > 0
    return privateJson(answer, failed ? 500 : 200)
  },
  { onError: logError },
)
