import { chargeOf, insist, tally } from '../../workload/operations.ts'
import { hold, oks, type Race, type RaceParts } from './index.ts'

/** The audit of one subject is a chain: every change begins where the one before it ended. */
async function brokenChain({ field }: RaceParts, action: string, key: string, subject?: string): Promise<string[]> {
  const { rows } = await field.admin.query<{ was: string; old: string }>(
    `select x.was, x.old from (
       select old ->> $2 as old, lag(new ->> $2) over (order by id) as was from public.credit_audit_log
       where action = $1 and subject = coalesce($3, subject)) x
     where x.was is not null and x.was is distinct from x.old`,
    [action, key, subject ?? null],
  )
  return rows.map(({ was, old }) => `from ${old} where it was ${was}`)
}

const saying = (faults: readonly string[]): string | undefined =>
  faults.length > 0 ? `the audit jumps: ${faults.slice(0, 3)}` : undefined

/** Races of what an operator stops and allows, and of users who leave. */
export const BRAKING_RACES: readonly Race[] = [
  {
    name: 'freeze an account that others spend from',
    prepare: async (parts) => {
      const userId = await parts.field.user('5')
      return {
        call: (index) => {
          if (index % 2)
            return insist(() => parts.pool.query('select public.credits_freeze_account($1, true)', [userId]))
          const input = { reservationId: parts.random.uuid(), userId, amount: '1', ttlSeconds: 300 }
          return insist(() => parts.store.reserve(input))
        },
        judge: async (answers) => {
          const spent = answers.filter((_, index) => index % 2 === 0)
          const { ok = 0, ACCOUNT_FROZEN: frozen = 0, INSUFFICIENT_CREDITS: poor = 0 } = tally(spent)
          const { status, reserved } = await parts.store.getBalance({ userId })
          const right = ok <= 5 && ok + frozen + poor === spent.length && reserved === String(ok) && status === 'frozen'
          return right ? undefined : `${reserved} reserved by ${ok} of ${JSON.stringify(tally(answers))}, ${status}`
        },
      }
    },
  },
  {
    name: 'freeze and thaw one account',
    prepare: async (parts) => {
      const userId = await parts.field.user('5')
      return {
        call: (index) =>
          insist(() => parts.pool.query('select public.credits_freeze_account($1, $2)', [userId, index % 2 === 0])),
        judge: async (answers) =>
          oks(answers).length === answers.length
            ? saying(await brokenChain(parts, 'account_status', 'status', userId))
            : `refusals: ${JSON.stringify(tally(answers))}`,
      }
    },
  },
  {
    name: 'change one role',
    at: 'public.profiles',
    prepare: async (parts) => {
      const userId = await parts.field.user('0')
      return {
        call: (index) =>
          insist(() =>
            parts.pool.query('select public.credits_set_role($1, $2)', [userId, index % 2 ? 'user' : 'admin']),
          ),
        judge: async (answers) =>
          oks(answers).length === answers.length
            ? saying(await brokenChain(parts, 'role', 'role', userId))
            : `refusals: ${JSON.stringify(tally(answers))}`,
      }
    },
  },
  {
    name: 'freeze and thaw all spending',
    at: 'public.credit_settings',
    prepare: async (parts) => ({
      call: (index) => insist(() => parts.pool.query('select public.credits_freeze_spending($1)', [index % 2 === 0])),
      judge: async (answers) => {
        await parts.pool.query('select public.credits_freeze_spending(false)')
        return oks(answers).length === answers.length
          ? saying(await brokenChain(parts, 'settings', 'spending_frozen'))
          : `refusals: ${JSON.stringify(tally(answers))}`
      },
    }),
  },
  {
    name: 'delete a user whose calls are running',
    prepare: async (parts) => {
      const userId = await parts.field.user('5')
      const held = await Promise.all(Array.from({ length: 5 }, () => hold(parts, userId, '1')))
      return {
        call: (index) =>
          index % 2
            ? insist(() => parts.field.admin.query('delete from auth.users where id = $1', [userId]))
            : insist(() => parts.store.settle({ reservationId: held[index % 5] ?? '', charge: chargeOf('1') })),
        judge: async (answers) => {
          const { rows } = await parts.field.admin.query<{ left: string; charges: number }>(
            `select (b.add_on_credits - b.reserved)::text as left, count(t.id)::int as charges from public.credit_balances b
             left join public.credit_transactions t on t.account_id = b.account_id and t.type = 'usage'
             where b.account_id = $1 group by b.account_id`,
            [userId],
          )
          const right = oks(answers).length === answers.length && rows[0]?.charges === 5 && Number(rows[0].left) === 0
          return right ? undefined : `${JSON.stringify(rows)} left of 5 charges of 1: ${JSON.stringify(tally(answers))}`
        },
      }
    },
  },
]
