import { chargeOf, countBy, retryUntilAnswered } from '../../workload/operations.ts'
import { type Race, type RaceParts, reserve, valuesOf } from './race.ts'

/** The audit of one subject is a chain: every change begins where the one before it ended. */
async function auditGaps({ database }: RaceParts, action: string, key: string, subject?: string): Promise<string[]> {
  const { rows } = await database.admin.query<{ before: string; old: string }>(
    `select change.before, change.old from (
       select old ->> $2 as old, lag(new ->> $2) over (order by id) as before from public.credit_audit_log
       where action = $1 and subject = coalesce($3, subject)) change
     where change.before is not null and change.before is distinct from change.old`,
    [action, key, subject ?? null],
  )
  return rows.map(({ before, old }) => `from ${old} where it was ${before}`)
}

const gapsText = (gaps: readonly string[]): string | undefined =>
  gaps.length > 0 ? `the audit has a gap: ${gaps.slice(0, 3)}` : undefined

/** Races of what an operator freezes and allows, and of users who delete their account. */
export const FREEZE_RACES: readonly Race[] = [
  {
    name: 'freeze an account that others spend from',
    prepare: async (parts) => {
      const userId = await parts.database.user('5')
      return {
        call: (index) => {
          if (index % 2) {
            const freeze = 'select public.credits_freeze_account($1, true)'
            return retryUntilAnswered(() => parts.pool.query(freeze, [userId]))
          }
          const input = { reservationId: parts.random.uuid(), userId, amount: '1', ttlSeconds: 300 }
          return retryUntilAnswered(() => parts.store.reserve(input))
        },
        findFault: async (answers) => {
          const reserves = answers.filter((_, index) => index % 2 === 0)
          const { ok = 0, ACCOUNT_FROZEN: frozen = 0, INSUFFICIENT_CREDITS: refused = 0 } = countBy(reserves)
          const { status, reserved } = await parts.store.getBalance({ userId })
          const counted = ok <= 5 && ok + frozen + refused === reserves.length
          const right = counted && reserved === String(ok) && status === 'frozen'
          return right ? undefined : `${reserved} reserved by ${ok} of ${JSON.stringify(countBy(answers))}, ${status}`
        },
      }
    },
  },
  {
    name: 'freeze and unfreeze one account',
    prepare: async (parts) => {
      const userId = await parts.database.user('5')
      const freeze = 'select public.credits_freeze_account($1, $2)'
      return {
        call: (index) => retryUntilAnswered(() => parts.pool.query(freeze, [userId, index % 2 === 0])),
        findFault: async (answers) =>
          valuesOf(answers).length === answers.length
            ? gapsText(await auditGaps(parts, 'account_status', 'status', userId))
            : `refusals: ${JSON.stringify(countBy(answers))}`,
      }
    },
  },
  {
    name: 'make one user an admin and take it back',
    at: 'public.credit_admins',
    prepare: async (parts) => {
      const userId = await parts.database.user('0')
      const setAdmin = 'select public.credits_set_admin($1, $2)'
      return {
        call: (index) => retryUntilAnswered(() => parts.pool.query(setAdmin, [userId, index % 2 === 0])),
        findFault: async (answers) =>
          valuesOf(answers).length === answers.length
            ? gapsText(await auditGaps(parts, 'admin', 'user_id', userId))
            : `refusals: ${JSON.stringify(countBy(answers))}`,
      }
    },
  },
  {
    name: 'freeze and unfreeze all spending',
    at: 'public.credit_settings',
    prepare: async (parts) => ({
      call: (index) =>
        retryUntilAnswered(() => parts.pool.query('select public.credits_freeze_spending($1)', [index % 2 === 0])),
      findFault: async (answers) => {
        await parts.pool.query('select public.credits_freeze_spending(false)')
        return valuesOf(answers).length === answers.length
          ? gapsText(await auditGaps(parts, 'settings', 'spending_frozen'))
          : `refusals: ${JSON.stringify(countBy(answers))}`
      },
    }),
  },
  {
    name: 'delete a user whose calls are running',
    prepare: async (parts) => {
      const userId = await parts.database.user('5')
      const reservations = await Promise.all(Array.from({ length: 5 }, () => reserve(parts, userId, '1')))
      return {
        call: (index) => {
          if (index % 2) {
            const remove = 'delete from auth.users where id = $1'
            return retryUntilAnswered(() => parts.database.admin.query(remove, [userId]))
          }
          const { reservationId = '' } = reservations[index % 5] ?? {}
          return retryUntilAnswered(() => parts.store.settle({ userId, reservationId, charge: chargeOf('1') }))
        },
        findFault: async (answers) => {
          const { rows } = await parts.database.admin.query<{ left: string; charges: number }>(
            `select (account.add_on_credits - account.reserved)::text as left, count(entry.id)::int as charges
             from public.credit_balances account
             left join public.credit_transactions entry
               on entry.account_id = account.account_id and entry.type = 'usage'
             where account.account_id = $1 group by account.account_id`,
            [userId],
          )
          const [found] = rows
          const right = found?.charges === 5 && Number(found.left) === 0 && valuesOf(answers).length === answers.length
          return right
            ? undefined
            : `${JSON.stringify(rows)} left of 5 charges of 1: ${JSON.stringify(countBy(answers))}`
        },
      }
    },
  },
]
