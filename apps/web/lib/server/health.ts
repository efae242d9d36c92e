import 'server-only'
import { CreditError } from '@layers/credits'
import { serviceClient } from './supabase'

/** Anyone may ask for the health of the app, so the database is asked at most this often. */
const ANSWER_LIFE_MS = 3_000

let last: { answer: Promise<void>; at: number } | undefined

/**
 * Resolves when the database answers and knows the credits schema; the answer is kept for some seconds.
 *
 * @throws CreditError `STORE_UNAVAILABLE`
 */
export function databaseAnswers(): Promise<void> {
  const now = Date.now()
  if (last === undefined || now - last.at > ANSWER_LIFE_MS) last = { answer: readSchemaVersion(), at: now }
  return last.answer
}

async function readSchemaVersion(): Promise<void> {
  const { error } = await serviceClient().rpc('credits_schema_version')
  if (error) throw new CreditError({ code: 'STORE_UNAVAILABLE', cause: error })
}
