import 'server-only'
import { createHash, timingSafeEqual } from 'node:crypto'
import { CreditError } from '@layers/credits'
import { reconcileEstimates } from '@layers/credits/ai'
import { z } from 'zod'
import { getCredits } from './credits'
import { readEnv } from './env'
import { gateway } from './gateway'
import { logError } from './log'
import { serviceClient } from './supabase'

/** One call of `credits_expire_due` ends after half a second, so a long list of due accounts needs several. */
const MOST_ROUNDS = 20

const expiry = z.object({
  reservationsExpired: z.int(),
  accountsTouched: z.int(),
  accountsFailed: z.int(),
})

/** What was due, and how many estimated charges ended which way. */
export interface CronAnswer extends z.infer<typeof expiry> {
  estimates: { exact: number; corrected: number; pending: number; failed: number }
}

/**
 * Lets the scheduler of this app in.
 *
 * @throws CreditError `CONFIG_INVALID` where `CRON_SECRET` is not set; `UNAUTHENTICATED` for another secret
 */
export function requireCronSecret(request: Request): void {
  const secret = readEnv().CRON_SECRET
  // Without this line an unset secret would let "Bearer undefined" in.
  if (secret === undefined) {
    throw new CreditError({
      code: 'CONFIG_INVALID',
      message: 'CRON_SECRET is not set',
      details: { missing: ['CRON_SECRET'] },
    })
  }
  const given = request.headers.get('authorization') ?? ''
  if (!timingSafeEqual(digest(given), digest(`Bearer ${secret}`))) throw new CreditError({ code: 'UNAUTHENTICATED' })
}

const digest = (text: string) => createHash('sha256').update(text).digest()

/** Expires what is due, then corrects estimated charges by the records of the gateway. Both can be repeated. */
export async function runCron(): Promise<CronAnswer> {
  return { ...(await expireDue()), estimates: await correctEstimates() }
}

async function expireDue(): Promise<z.infer<typeof expiry>> {
  const client = serviceClient()
  const total = { reservationsExpired: 0, accountsTouched: 0, accountsFailed: 0 }
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const { data, error } = await client.rpc('credits_expire_due')
    if (error) throw new CreditError({ code: 'STORE_UNAVAILABLE', cause: error })
    const { reservationsExpired, accountsTouched, accountsFailed } = expiry.parse(data)
    total.reservationsExpired += reservationsExpired
    total.accountsTouched += accountsTouched
    total.accountsFailed = accountsFailed
    if (accountsTouched === 0) break
  }
  return total
}

async function correctEstimates(): Promise<CronAnswer['estimates']> {
  const counts = { exact: 0, corrected: 0, pending: 0, failed: 0 }
  const { getGenerationInfo } = gateway()
  for (const result of await reconcileEstimates({ credits: getCredits(), getGenerationInfo })) {
    counts[result.outcome] += 1
    if (result.outcome === 'failed') logError(result.error, { operation: 'reconcileEstimates' })
  }
  return counts
}
