import { createClient } from '@supabase/supabase-js'
import type { Arena, Attack } from '../runner/scenario.ts'
import { type Field, signUp } from '../runner/test-database.ts'
import { ask, insist } from '../workload/operations.ts'

/** A field in which signing up gives 50. */
async function giving(arena: Arena, api = false): Promise<Field> {
  const field = await arena.open({ api })
  await field.admin.query('update public.credit_settings set signup_credits = 50')
  return field
}

async function grants(field: Field): Promise<number> {
  const { rows } = await field.admin.query(
    `select count(*)::int as n from public.credit_transactions where type = 'grant' and source = 'signup'`,
  )
  return rows[0].n
}

/** H1: the same person, from every side at once. */
export const H1: Attack = {
  id: 'H1',
  claim: 'One signup, fifty racers, trigger and first use and reconcile together: one grant',
  faults: ['racer'],
  run: async (arena) => {
    const field = await giving(arena)
    const store = field.store(30)
    const pool = field.pool(10)
    for (let round = 0; round < arena.count(20, 400, 2); round += 1) {
      const before = await grants(field)
      const id = arena.random.uuid()
      const insert = (): Promise<unknown> => ask(() => signUp(field.admin, id))
      const racers = Array.from({ length: 50 }, (_, index) => {
        if (index < 10) return insert()
        if (index < 20) return insist(() => pool.query('select public.credits_reconcile(true, 100)'))
        return ask(() => store.getBalance({ userId: id }))
      })
      await Promise.all(racers)
      arena.ran(50)
      arena.reached('racer', 50)
      const { available } = await store.getBalance({ userId: id })
      const given = (await grants(field)) - before
      arena.check(given === 1 && available === '50', `${given} grants, ${available} available`)
    }
  },
}

/** Spellings of one mailbox. */
const TWINS = [
  'ann.lee@gmail.com',
  'ANN.LEE@gmail.com',
  'annlee@gmail.com',
  'a.n.n.l.e.e@gmail.com',
  'ann.lee+1@gmail.com',
  'annlee@googlemail.com',
  'ａｎｎ.lee@gmail.com',
  ' ann.lee@gmail.com ',
]

/** H2: away and back again. */
export const H2: Attack = {
  id: 'H2',
  claim:
    'Deleting an account and signing up again under any spelling of the address gives nothing more, and no address is kept',
  faults: ['spelling'],
  broken: [
    {
      name: 'addresses are not normalised',
      edits: [
        { function: 'credits_private.person_hash', from: /lower\(normalize\(trim\(p_email\), NFKC\)\)/, to: 'p_email' },
      ],
    },
  ],
  run: async (arena) => {
    const field = await giving(arena)
    for (const email of TWINS) {
      const id = await signUp(field.admin, arena.random.uuid(), { email })
      if (arena.random.chance(0.5)) await field.admin.query('delete from auth.users where id = $1', [id])
      arena.ran()
      arena.reached('spelling')
    }
    arena.check((await grants(field)) === 1, `${await grants(field)} grants for one mailbox`)
    await field.admin.query('delete from auth.users')
    arena.check((await grants(field)) === 1, 'the history left with the user')
    const { rows } = await field.admin.query(
      `select c.table_schema, c.table_name from information_schema.tables c where c.table_schema in ('public', 'credits_private') and c.table_type = 'BASE TABLE'`,
    )
    for (const { table_schema: schema, table_name: table } of rows) {
      const { rows: kept } = await field.admin.query(
        `select count(*)::int as n from ${schema}.${table} x where lower(x::text) like '%gmail.com%'`,
      )
      arena.check(kept[0].n === 0, `${schema}.${table} keeps an address of a deleted user`)
    }
  },
}

/** H3 and H4: who is not (yet) anybody, and who changes. */
export const H3: Attack = {
  id: 'H3',
  claim:
    'Anonymous and unconfirmed users wait for their grant; linking, changing and confirming an address gives it once',
  faults: ['identity'],
  run: async (arena) => {
    const field = await giving(arena)
    const expect = async (wanted: number, when: string): Promise<void> => {
      const given = await grants(field)
      arena.ran()
      arena.reached('identity')
      arena.check(given === wanted, `${given} grants ${when}, ${wanted} expected`)
    }
    const id = await signUp(field.admin, arena.random.uuid(), { anonymous: true })
    await expect(0, 'for an anonymous user')
    const change = (sets: string): Promise<unknown> =>
      field.admin.query(`update auth.users set ${sets} where id = '${id}'`)
    await change(`is_anonymous = false, email = 'linked@example.com', email_confirmed_at = now()`)
    await expect(1, 'after linking an identity')
    await change(`email = 'changed@example.com'`)
    await change(`phone = '+15551234'`)
    await change(`email_confirmed_at = now()`)
    await expect(1, 'after changing the address')
    await field.admin.query('update public.credit_settings set signup_needs_confirmation = true')
    const waiting = arena.random.uuid()
    await field.admin.query(`insert into auth.users (id, email) values ($1, 'waiting@example.com')`, [waiting])
    await field.store(1).getBalance({ userId: waiting })
    await expect(1, 'for an unconfirmed address')
    await field.admin.query('update auth.users set email_confirmed_at = now() where id = $1', [waiting])
    await expect(2, 'after the confirmation')
  },
}

const SABOTAGE: readonly { name: string; hurt: string; heal: string }[] = [
  {
    name: 'a table renamed',
    hurt: 'alter table public.credit_balances rename to gone',
    heal: 'alter table public.gone rename to credit_balances',
  },
  {
    name: 'profiles renamed',
    hurt: 'alter table public.profiles rename to gone',
    heal: 'alter table public.gone rename to profiles',
  },
  {
    name: 'a constraint that nothing meets',
    hurt: 'alter table public.credit_lots add constraint hurt check (false) not valid',
    heal: 'alter table public.credit_lots drop constraint hurt',
  },
  {
    name: 'a function gone',
    hurt: 'alter function credits_private.grant_signup rename to gone',
    heal: 'alter function credits_private.gone rename to grant_signup',
  },
  {
    name: 'no settings',
    hurt: 'create table public.kept as table public.credit_settings; delete from public.credit_settings',
    heal: 'insert into public.credit_settings select * from public.kept; drop table public.kept',
  },
  {
    name: 'no key',
    hurt: 'create table public.kept as table credits_private.secrets; delete from credits_private.secrets',
    heal: 'insert into credits_private.secrets select * from public.kept; drop table public.kept',
  },
  {
    name: 'a ledger that divides by zero',
    hurt: 'alter table public.credit_transactions add constraint hurt check (1 / (version - version) > 0) not valid',
    heal: 'alter table public.credit_transactions drop constraint hurt',
  },
]

/** H5: a broken ledger must not cost a customer. */
export const H5: Attack = {
  id: 'H5',
  claim:
    'Whatever is broken or locked in our schema, signing up works, quickly; afterwards reconcile grants exactly once',
  faults: ['sabotage', 'lock'],
  run: async (arena) => {
    const field = await giving(arena, true)
    const client = createClient(field.database.url, arena.stack.secretKey, { auth: { persistSession: false } })
    const join = async (what: string): Promise<void> => {
      const start = performance.now()
      const email = `${arena.random.uuid()}@example.com`
      const { error } = await client.auth.admin.createUser({ email, password: 'secret-enough', email_confirm: true })
      const took = performance.now() - start
      arena.ran()
      arena.check(error === null, `${what}: signing up failed: ${error?.message}`)
      arena.check(took < 1000, `${what}: signing up took ${took.toFixed(0)} ms`)
    }
    let missed = 0
    for (const { name, hurt, heal } of SABOTAGE) {
      await field.admin.query(hurt)
      await join(name)
      await field.admin.query(heal)
      missed += name === 'profiles renamed' ? 0 : 1
      arena.reached('sabotage')
    }
    missed += await signUpBehindLock(arena, field, join)
    const before = await grants(field)
    await field.pool(1).query('select public.credits_reconcile(true, 1000)')
    await field.pool(1).query('select public.credits_reconcile(true, 1000)')
    const healed = (await grants(field)) - before
    arena.check(healed === missed, `reconcile granted ${healed} of ${missed} missed signups`)
  },
}

async function signUpBehindLock(arena: Arena, field: Field, join: (what: string) => Promise<void>): Promise<number> {
  const side = await field.watcher.connect()
  try {
    await side.query('begin; lock table public.credit_balances in access exclusive mode')
    await field.admin.query(`alter role supabase_auth_admin set statement_timeout = '3s'`)
    await join('the accounts locked')
    arena.reached('lock')
    return 1
  } finally {
    await side.query('rollback')
    await field.admin.query('alter role supabase_auth_admin reset statement_timeout')
    side.release()
  }
}

/** H6: an import of users. */
export const H6: Attack = {
  id: 'H6',
  claim: 'Thousands of signups in one transaction all get their one grant',
  faults: ['signup'],
  run: async (arena) => {
    const field = await giving(arena)
    const many = arena.goal('signup', 50)
    await field.admin.query(
      `insert into auth.users (id, email, email_confirmed_at) select gen_random_uuid(), n || '@bulk.example', now() from generate_series(1, ${many}) n`,
    )
    arena.ran(many)
    arena.reached('signup', many)
    arena.check((await grants(field)) === many, `${await grants(field)} grants for ${many} signups`)
    arena.note('H7 (velocity caps, a daily budget of grants) is left to a later release')
  },
}
