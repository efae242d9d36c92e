import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { advance, createTestDatabase, signUp, stopDatabases, type TestDatabase, whileLocked } from '../kit/database.ts'
import { balanceOf, call, ledgerOf, refusal, reserve, spend } from '../kit/functions.ts'
import { assertInvariants } from '../kit/invariants.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
})
afterEach(() => assertInvariants(database.admin))
afterAll(async () => {
  await database.close()
  await stopDatabases()
})

const accounts = async (userId: string) =>
  (await database.admin.query('select * from public.credit_balances where account_id = $1', [userId])).rows

const available = async (userId: string) => (await balanceOf(database, userId)).available

const confirm = (userId: string) =>
  database.admin.query('update auth.users set email_confirmed_at = now() where id = $1', [userId])

const deleteUser = (userId: string) => database.admin.query('delete from auth.users where id = $1', [userId])

const setting = (column: string, value: unknown) =>
  database.admin.query(`update public.credit_settings set ${column} = $1`, [value])

describe('a signup', () => {
  it('opens an account on the free plan with 50 credits and a grant in the ledger', async () => {
    const userId = await signUp(database.admin)
    expect(await balanceOf(database, userId)).toMatchObject({
      planId: 'free',
      available: '50',
      status: 'active',
      version: 1,
    })
    expect(await ledgerOf(database, userId)).toMatchObject([
      { type: 'grant', source: 'signup', amount: '50', balanceAfter: '50' },
    ])
  })

  it('makes the profile of the app with the role user', async () => {
    const userId = await signUp(database.admin)
    const { rows } = await database.admin.query('select role from public.profiles where user_id = $1', [userId])
    expect(rows).toEqual([{ role: 'user' }])
  })

  it('grants what the settings say', async () => {
    await setting('signup_credits', 12.5)
    expect(await available(await signUp(database.admin))).toBe('12.5')
    await setting('signup_credits', 0)
    expect(await balanceOf(database, await signUp(database.admin))).toMatchObject({ available: '0', version: 0 })
    await setting('signup_credits', 50)
  })

  it('of an anonymous user grants nothing until the user has a confirmed identity, and then once', async () => {
    const userId = crypto.randomUUID()
    await database.admin.query('insert into auth.users (id, is_anonymous) values ($1, true)', [userId])
    expect(await available(userId)).toBe('0')
    for (const email of [`${userId}@example.test`, `other-${userId}@example.test`]) {
      await database.admin.query(
        'update auth.users set is_anonymous = false, email = $2, email_confirmed_at = now() where id = $1',
        [userId, email],
      )
    }
    expect(await ledgerOf(database, userId)).toHaveLength(1)
    expect(await available(userId)).toBe('50')
  })

  it('with an unconfirmed address opens the account and grants when the address is confirmed', async () => {
    const userId = await signUp(database.admin, { confirmed: false })
    expect(await accounts(userId)).toMatchObject([{ signup_decided_at: null, version: '0' }])
    expect(await available(userId)).toBe('0')
    await confirm(userId)
    expect(await available(userId)).toBe('50')
  })

  it('with a confirmed phone alone grants to the phone', async () => {
    const userId = crypto.randomUUID()
    await database.admin.query(
      `insert into auth.users (id, email, phone, phone_confirmed_at) values ($1, 'claimed@phone.test', '+1 555 0100', now())`,
      [userId],
    )
    expect(await available(userId)).toBe('50')
    expect(await available(await signUp(database.admin, { email: 'claimed+2@phone.test' }))).toBe('50')
  })
})

describe('one person', () => {
  const SPELLINGS = [
    ['Jane.Doe@Gmail.com', 'janedoe+credits@googlemail.com', 'JANE.D.O.E@gmail.com', 'ｊａｎｅdoe@gmail.com'],
    ['someone@example.org', 'SomeOne+2@Example.org', ' someone@example.org '],
  ]

  it('gets one grant under all spellings of an address', async () => {
    for (const [first, ...others] of SPELLINGS as [string, ...string[]][]) {
      expect(await available(await signUp(database.admin, { email: first }))).toBe('50')
      for (const email of others) {
        const twin = await signUp(database.admin, { email })
        expect(await available(twin), email).toBe('0')
        await advance(database.admin, twin, '2 months')
        expect(await available(twin), `${email}, later`).toBe('0')
      }
    }
  })

  it('differs from another one by a dot outside Gmail', async () => {
    expect(await available(await signUp(database.admin, { email: 'a.b@example.org' }))).toBe('50')
    expect(await available(await signUp(database.admin, { email: 'ab@example.org' }))).toBe('50')
  })

  it('who confirms an address gets the grant, whichever unconfirmed account came first', async () => {
    const unconfirmed = await signUp(database.admin, { email: 'victim+x1@corp.example', confirmed: false })
    const owner = await signUp(database.admin, { email: 'victim@corp.example' })
    expect([await available(unconfirmed), await available(owner)]).toEqual(['0', '50'])
    await confirm(unconfirmed)
    expect(await available(unconfirmed)).toBe('0')
    expect((await accounts(owner))[0].plan_period_ends_at).not.toBeNull()
  })

  it('who deletes the account and comes back gets no second grant, but the next month on time', async () => {
    const first = await signUp(database.admin, { email: 'comes.back@example.org' })
    await spend(database, first, 50)
    await deleteUser(first)
    const second = await signUp(database.admin, { email: 'comes.back+again@example.org' })
    expect(await available(second)).toBe('0')
    await advance(database.admin, second, '32 days')
    expect(await available(second)).toBe('50')
  })

  it('is kept as a keyed hash, never as an address', async () => {
    await signUp(database.admin, { email: 'find.me@example.org' })
    const { rows } = await database.admin.query(
      `select (select count(*) from credits_private.signup_claims
                 where person_hash = sha256('email:find.me@example.org')
                   or encode(person_hash, 'escape') like '%find%')
            + (select count(*) from credits_private.person_accounts
                 where person_hash = sha256('email:find.me@example.org')
                   or encode(person_hash, 'escape') like '%find%') as found`,
    )
    expect(rows).toEqual([{ found: '0' }])
  })
})

describe('a debt', () => {
  /** An account that owes 20, closed. */
  async function closedWithDebt(email: string): Promise<string> {
    await database.admin.query(
      `insert into public.credit_plans (id, name, price_usd, monthly_credits, overage_limit)
       values ('overage', 'Overage', 5, 50, 20) on conflict do nothing`,
    )
    const userId = await signUp(database.admin, { email })
    await call(database.service, 'credits_set_plan', { p_account_id: userId, p_plan_id: 'overage' })
    await spend(database, userId, 120)
    expect(await balanceOf(database, userId)).toMatchObject({ debt: '20' })
    await deleteUser(userId)
    return userId
  }

  it('goes on in the next account of the person, with a transaction in both ledgers', async () => {
    const first = await closedWithDebt('debtor@example.org')
    const second = await signUp(database.admin, { email: 'Debtor+new@example.org' })
    expect(await balanceOf(database, second)).toMatchObject({ debt: '20', available: '-20' })
    expect(await ledgerOf(database, second)).toMatchObject([{ type: 'adjustment', source: 'debt', amount: '-20' }])
    expect((await ledgerOf(database, first))[0]).toMatchObject({ type: 'adjustment', source: 'debt', amount: '20' })
    expect(await accounts(first)).toMatchObject([{ debt: '0.000000' }])
    await refusal(reserve(database, second, 1), 'INSUFFICIENT_CREDITS')
  })

  it('moves once, and waits for an account that is locked', async () => {
    const first = await closedWithDebt('locked.debtor@example.org')
    const second = await whileLocked(
      database,
      `select from public.credit_balances where account_id = '${first}' for update`,
      async () => {
        const userId = await signUp(database.admin, { email: 'locked.debtor+2@example.org' })
        expect(await accounts(userId)).toMatchObject([{ debt: '0.000000', signup_decided_at: null }])
        return userId
      },
    )
    expect(await balanceOf(database, second)).toMatchObject({ debt: '20' })
    await deleteUser(second)
    const third = await signUp(database.admin, { email: 'locked.debtor+3@example.org' })
    expect(await balanceOf(database, third)).toMatchObject({ debt: '20' })
  })
})

describe('the daily ceiling of signup grants', () => {
  it('keeps new persons waiting, exactly, also when they sign up at once', async () => {
    const { rows } = await database.admin.query('select count(*)::int as claims from credits_private.signup_claims')
    await setting('max_signup_grants_per_day', rows[0].claims + 2)
    const users = await Promise.all(Array.from({ length: 12 }, () => signUp(database.admin)))
    const balances = await Promise.all(users.map((userId) => available(userId)))
    expect(balances.filter((credits) => credits === '50')).toHaveLength(2)
    expect(await call(database.service, 'credits_reconcile')).toMatchObject({ accountsToOpen: [] })

    await database.admin.query(`update credits_private.signup_claims set claimed_at = claimed_at - interval '25 hours'`)
    const healed = await call<{ signupGrants: number }>(database.service, 'credits_reconcile', { p_apply: true })
    expect(healed.signupGrants).toBe(10)
    await setting('max_signup_grants_per_day', null)
  })

  it('does not keep a returning person waiting', async () => {
    const first = await signUp(database.admin, { email: 'returning@example.org' })
    await deleteUser(first)
    await setting('max_signup_grants_per_day', 0)
    const second = await signUp(database.admin, { email: 'returning+2@example.org' })
    expect(await accounts(second)).not.toMatchObject([{ signup_decided_at: null }])
    await setting('max_signup_grants_per_day', null)
  })
})

describe('deleting a user', () => {
  it('closes the account, keeps the history and still lets an open reservation settle', async () => {
    const userId = await signUp(database.admin)
    const open = await reserve(database, userId, 5)
    await spend(database, userId, 7)
    const before = await ledgerOf(database, userId)
    await deleteUser(userId)
    expect(await ledgerOf(database, userId)).toEqual(before)
    await refusal(balanceOf(database, userId), 'ACCOUNT_NOT_FOUND')
    await refusal(reserve(database, userId, 1), 'ACCOUNT_NOT_FOUND')
    const late = await call(database.service, 'credits_settle', {
      p_account_id: userId,
      p_reservation_id: open,
      p_charge: { amount: '2' },
    })
    expect(late).toMatchObject({ state: 'settled', captured: '2', balance: { status: 'closed' } })
  })

  it('and making one with the same id again opens the account as it stood', async () => {
    const userId = await signUp(database.admin, { email: 'same.id@example.org' })
    await spend(database, userId, 20)
    await deleteUser(userId)
    await signUp(database.admin, { email: 'same.id@example.org', id: userId })
    expect(await balanceOf(database, userId)).toMatchObject({ available: '30', status: 'active', version: 2 })
  })
})
