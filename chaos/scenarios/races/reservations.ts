import { signUp } from '../../runner/test-database.ts'
import { ask, chargeOf, insist, tally } from '../../workload/operations.ts'
import { exactly, hold, letExpire, missedSignup, oks, type Race } from './index.ts'

/** Races of accounts that do not exist yet, or that nobody touched for long. */
export const OPENING_RACES: readonly Race[] = [
  {
    name: 'first use of a missing account',
    prepare: async (parts) => {
      const userId = await missedSignup(parts)
      return {
        call: () => {
          const input = { reservationId: parts.random.uuid(), userId, amount: '10', ttlSeconds: 300 }
          return insist(() => parts.store.reserve(input))
        },
        judge: exactly(5, 'INSUFFICIENT_CREDITS'),
      }
    },
  },
  {
    name: 'reconcile a missing account',
    prepare: async (parts) => {
      const userId = await missedSignup(parts)
      return {
        call: () => insist(() => parts.pool.query('select public.credits_reconcile(true, 100)')),
        judge: async () => {
          const { available } = await parts.store.getBalance({ userId })
          return available === '50' ? undefined : `${available} available, one grant of 50 expected`
        },
      }
    },
  },
  {
    name: 'sign up one person under many spellings',
    prepare: async ({ field, random }) => {
      await field.admin.query('update public.credit_settings set signup_credits = 50')
      const name = random.uuid()
      return {
        call: (index) => insist(() => signUp(field.admin, random.uuid(), { email: `${name}+${index}@Example.com` })),
        judge: async () => {
          const { rows } = await field.admin.query(
            `select count(*)::int as grants from public.credit_transactions t join auth.users u on u.id = t.account_id
             where t.source = 'signup' and u.email like $1`,
            [`${name}%`],
          )
          return rows[0].grants === 1 ? undefined : `${rows[0].grants} signup grants for one person`
        },
      }
    },
  },
  {
    name: 'sweep while others spend',
    prepare: async (parts) => {
      const userId = await parts.field.user('100')
      for (let count = 0; count < 5; count += 1) await hold(parts, userId, '1')
      await letExpire(parts.field, userId)
      return {
        call: (index) => {
          if (index % 3 === 0) return insist(() => parts.pool.query('select public.credits_expire_due(10)'))
          const input = { reservationId: parts.random.uuid(), userId, amount: '1', ttlSeconds: 300 }
          return insist(() => parts.store.reserve(input))
        },
        judge: async (answers) => {
          const { reserved } = await parts.store.getBalance({ userId })
          const held = answers.filter((_, index) => index % 3 !== 0).length
          return reserved === String(held) ? undefined : `${reserved} reserved by ${held} reservations of 1`
        },
      }
    },
  },
  {
    // Who settles has the reservation and waits for the account; who sweeps has the account and must not wait for the
    // reservation. Asked once and by few: a deadlock would show as a refusal for a busy database, which repeating heals.
    name: 'settle late while others sweep',
    prepare: async (parts) => {
      const userId = await parts.field.user('10')
      const late = await Promise.all(Array.from({ length: 4 }, () => hold(parts, userId, '1')))
      await letExpire(parts.field, userId)
      return {
        call: async (index) => {
          const reservationId = late[index]
          if (reservationId) return ask(() => parts.store.settle({ reservationId, charge: chargeOf('1') }))
          const input = { reservationId: parts.random.uuid(), userId, amount: '1', ttlSeconds: 300 }
          return index < 8 ? ask(() => parts.store.reserve(input)) : { ok: true, value: undefined }
        },
        judge: async (answers) => {
          const { available } = await parts.store.getBalance({ userId })
          const right = oks(answers).length === answers.length && available === '2'
          return right ? undefined : `${available} available after ${JSON.stringify(tally(answers))}`
        },
      }
    },
  },
  {
    name: 'sweep what is due',
    prepare: async (parts) => {
      const userId = await parts.field.user('5')
      for (let count = 0; count < 5; count += 1) await hold(parts, userId, '1')
      await letExpire(parts.field, userId)
      return {
        call: (index) =>
          index % 2
            ? insist(() => parts.pool.query('select public.credits_expire_due(10)'))
            : insist(() => parts.store.getBalance({ userId })),
        judge: async () => {
          const { available } = await parts.store.getBalance({ userId })
          return available === '5' ? undefined : `${available} available after the sweep, 5 expected`
        },
      }
    },
  },
]
