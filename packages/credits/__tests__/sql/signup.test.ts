import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  balanceOf,
  call,
  closeStack,
  type Ground,
  type Json,
  letTimePass,
  openGround,
  refusal,
  reserve,
  signUp,
} from './ground.ts'
import { assertInvariants } from './invariants.ts'

let ground: Ground

beforeAll(async () => {
  ground = await openGround()
})
afterEach(() => assertInvariants(ground.admin))
afterAll(async () => {
  await ground.close()
  await closeStack()
})

const history = async (userId: string) =>
  (await call<{ data: Json[] }>(ground.service, 'credits_get_history', { p_user_id: userId, p_limit: 50 })).data

const accounts = async (userId: string) =>
  (await ground.admin.query('select * from public.credit_balances where account_id = $1', [userId])).rows

describe('signing up', () => {
  it('opens an account on the free plan with a profile and 50 credits, and says so in the ledger', async () => {
    const userId = await signUp(ground)
    expect(await balanceOf(ground, userId)).toMatchObject({
      planId: 'free',
      available: '50',
      status: 'active',
      version: 1,
    })
    expect(await history(userId)).toMatchObject([{ type: 'grant', source: 'signup', amount: '50', balanceAfter: '50' }])
    const { rows } = await ground.admin.query('select role from public.profiles where user_id = $1', [userId])
    expect(rows).toEqual([{ role: 'user' }])
  })

  it('grants what the settings say', async () => {
    await ground.admin.query('update public.credit_settings set signup_credits = 12.5')
    expect((await balanceOf(ground, await signUp(ground))).available).toBe('12.5')
    await ground.admin.query('update public.credit_settings set signup_credits = 50')
  })

  it('waits with the grant until an anonymous user has an identity, and grants once then', async () => {
    const userId = crypto.randomUUID()
    await ground.admin.query('insert into auth.users (id, is_anonymous) values ($1, true)', [userId])
    expect((await balanceOf(ground, userId)).available).toBe('0')
    for (const email of [`${userId}@example.test`, `other-${userId}@example.test`]) {
      await ground.admin.query('update auth.users set is_anonymous = false, email = $2 where id = $1', [userId, email])
    }
    expect(await history(userId)).toHaveLength(1)
    expect((await balanceOf(ground, userId)).available).toBe('50')
  })

  it('waits for the confirmation where the settings ask for it', async () => {
    await ground.admin.query('update public.credit_settings set signup_needs_confirmation = true')
    const userId = await signUp(ground)
    expect((await balanceOf(ground, userId)).available).toBe('0')
    await ground.admin.query('update auth.users set email_confirmed_at = now() where id = $1', [userId])
    expect((await balanceOf(ground, userId)).available).toBe('50')
    await ground.admin.query('update public.credit_settings set signup_needs_confirmation = false')
  })
})

describe('one person', () => {
  const TWINS = [
    ['Jane.Doe@Gmail.com', 'janedoe+credits@googlemail.com', 'JANE.D.O.E@gmail.com', 'ｊａｎｅdoe@gmail.com'],
    ['someone@example.org', 'SomeOne+2@Example.org', ' someone@example.org '],
  ]

  it('gets one grant under all spellings of an address', async () => {
    for (const [first, ...others] of TWINS as [string, ...string[]][]) {
      expect((await balanceOf(ground, await signUp(ground, first))).available).toBe('50')
      for (const other of others) {
        const twin = await signUp(ground, other)
        expect((await balanceOf(ground, twin)).available, other).toBe('0')
        await letTimePass(ground, twin, '2 months')
        expect((await balanceOf(ground, twin)).available, `${other}, later`).toBe('0')
      }
    }
  })

  it('is told apart from others: dots count outside Gmail', async () => {
    expect((await balanceOf(ground, await signUp(ground, 'a.b@example.org'))).available).toBe('50')
    expect((await balanceOf(ground, await signUp(ground, 'ab@example.org'))).available).toBe('50')
  })

  it('that deletes the account and comes back gets no second grant, but the next month on time', async () => {
    const first = await signUp(ground, 'comes.back@example.org')
    await call(ground.service, 'credits_settle', {
      p_reservation_id: await reserve(ground, first, 50),
      p_charge: { amount: '50' },
    })
    await ground.admin.query('delete from auth.users where id = $1', [first])
    const second = await signUp(ground, 'comes.back+again@example.org')
    expect((await balanceOf(ground, second)).available).toBe('0')
    await letTimePass(ground, second, '32 days')
    expect((await balanceOf(ground, second)).available).toBe('50')
  })

  it('is kept as a keyed hash, never as an address', async () => {
    await signUp(ground, 'find.me@example.org')
    const { rows } = await ground.admin.query(
      `select count(*)::int as n from credits_private.signup_claims
       where person_hash = sha256('email:find.me@example.org') or encode(person_hash, 'escape') like '%find%'`,
    )
    expect(rows).toEqual([{ n: 0 }])
  })
})

describe('deleting a user', () => {
  it('works, keeps the whole history, and closes the account', async () => {
    const userId = await signUp(ground)
    const open = await reserve(ground, userId, 5)
    const done = await reserve(ground, userId, 10)
    await call(ground.service, 'credits_settle', { p_reservation_id: done, p_charge: { amount: '7' } })
    const before = await history(userId)
    await ground.admin.query('delete from auth.users where id = $1', [userId])
    expect(await history(userId)).toEqual(before)
    await refusal(balanceOf(ground, userId), 'ACCOUNT_NOT_FOUND')
    await refusal(reserve(ground, userId, 1), 'ACCOUNT_NOT_FOUND')
    // A call that was running is still paid for.
    const late = await call(ground.service, 'credits_settle', { p_reservation_id: open, p_charge: { amount: '2' } })
    expect(late).toMatchObject({ state: 'settled', captured: '2', balance: { status: 'closed' } })
  })

  it('and making one with the same id again opens the account as it stood', async () => {
    const userId = await signUp(ground, 'same.id@example.org')
    await call(ground.service, 'credits_settle', {
      p_reservation_id: await reserve(ground, userId, 20),
      p_charge: { amount: '20' },
    })
    await ground.admin.query('delete from auth.users where id = $1', [userId])
    await signUp(ground, 'same.id@example.org', userId)
    expect(await balanceOf(ground, userId)).toMatchObject({ available: '30', status: 'active', version: 2 })
  })
})

describe('a broken credits schema never stops a signup', () => {
  const SABOTAGE: Record<string, [breakIt: string, repair: string]> = {
    'the table of accounts is gone': [
      'alter table public.credit_balances rename to elsewhere',
      'alter table public.elsewhere rename to credit_balances',
    ],
    'the table of profiles is gone': [
      'alter table public.profiles rename to elsewhere',
      'alter table public.elsewhere rename to profiles',
    ],
    'the ledger refuses every row': [
      'alter table public.credit_transactions add constraint sabotage check (false) not valid',
      'alter table public.credit_transactions drop constraint sabotage',
    ],
    'the function that opens accounts is gone': [
      'alter function credits_private.ensure_account(auth.users) rename to elsewhere',
      'alter function credits_private.elsewhere(auth.users) rename to ensure_account',
    ],
    'the settings are gone': [
      'create table public.kept as table public.credit_settings; delete from public.credit_settings',
      'insert into public.credit_settings select * from public.kept; drop table public.kept',
    ],
  }

  it('and what was missed is made up for exactly once', async () => {
    for (const [name, [breakIt, repair]] of Object.entries(SABOTAGE)) {
      await ground.admin.query(breakIt)
      const userId = await signUp(ground)
      await ground.admin.query(repair)
      const healed = await call(ground.service, 'credits_reconcile', { p_apply: true })
      expect(healed.applied, name).toBe(true)
      expect(await accounts(userId), name).toMatchObject([{ user_id: userId, version: '1' }])
      expect((await balanceOf(ground, userId)).available, name).toBe('50')
      const profile = await ground.admin.query('select from public.profiles where user_id = $1', [userId])
      expect(profile.rowCount, name).toBe(1)
      expect(await call(ground.service, 'credits_reconcile'), name).toMatchObject({
        accountsToOpen: [],
        profilesMissing: 0,
      })
    }
  })

  it('and one fault does not take the other half with it', async () => {
    await ground.admin.query('alter table public.profiles rename to elsewhere')
    const userId = await signUp(ground)
    expect(await accounts(userId)).toHaveLength(1)
    await ground.admin.query('alter table public.elsewhere rename to profiles')
  })

  it('and a lock held on our tables delays it by less than a second', async () => {
    for (const table of [
      'public.credit_balances',
      'public.credit_transactions',
      'public.profiles',
      'public.credit_settings',
    ]) {
      const blocker = await ground.admin.connect()
      await blocker.query(`begin; lock table ${table} in access exclusive mode`)
      const started = performance.now()
      const userId = await signUp(ground)
      expect(performance.now() - started, table).toBeLessThan(1000)
      await blocker.query('rollback')
      blocker.release()
      expect((await balanceOf(ground, userId)).available, table).toBe('50')
    }
  })
})
