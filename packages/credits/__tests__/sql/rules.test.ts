import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, stopDatabases, type TestDatabase } from '../kit/database.ts'

const FILES = globSync(join(import.meta.dirname, '../../../../supabase/migrations/*.sql'))
  .sort()
  .map((path) => ({ name: basename(path), text: readFileSync(path, 'utf8') }))

interface SqlFunction {
  file: string
  name: string
  /** From `create` to the end of the body. */
  text: string
  /** The statements after the body, up to the next one that creates something. */
  privileges: string
}

const FUNCTIONS: SqlFunction[] = FILES.flatMap(({ name: file, text }) =>
  [...text.matchAll(/^create or replace function ([a-z_.]+)\([\s\S]*?^\$\$;\n/gm)].map((match) => ({
    file,
    name: match[1] as string,
    text: match[0],
    privileges: text.slice((match.index ?? 0) + match[0].length).split(/^(?:create|comment)/m)[0] as string,
  })),
)

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(async () => {
  await database.close()
  await stopDatabases()
})

describe('each migration', () => {
  it('has no line over 100 columns', () => {
    const long = FILES.flatMap(({ name, text }) =>
      text.split('\n').flatMap((line, index) => (line.length > 100 ? [`${name}:${index + 1}`] : [])),
    )
    expect(long).toEqual([])
  })

  it('bounds its waits for locks and its statements', () => {
    const unbounded = FILES.filter(
      ({ text }) => !text.includes(`set local lock_timeout`) || !text.includes(`set local statement_timeout`),
    )
    expect(unbounded.map(({ name }) => name)).toEqual([])
  })

  it('creates or drops no trigger by DROP on auth.users, and gives its triggers there a name that sorts last', () => {
    const text = FILES.filter(({ name }) => name.includes('_credits_'))
      .map((file) => file.text)
      .join('\n')
    expect(text).not.toMatch(/drop trigger/i)
    const names = [...text.matchAll(/trigger (\w+)\n\s+after [^;]*? on auth\.users/g)].map((match) => match[1])
    expect(names).toEqual(['zz_credits_user_created', 'zz_credits_user_identified'])
  })
})

describe('each function', () => {
  it('is found by this test', async () => {
    const { rows } = await database.admin.query<{ name: string }>(
      `select format('%s.%s', n.nspname, p.proname) as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where n.nspname in ('public', 'credits_private')
         and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e') order by 1`,
    )
    expect(FUNCTIONS.map(({ name }) => name).sort()).toEqual(rows.map(({ name }) => name))
  })

  it('has at most 70 lines', () => {
    const long = FUNCTIONS.filter(({ text }) => text.trimEnd().split('\n').length > 70)
    expect(long.map(({ file, name }) => `${file}: ${name}`)).toEqual([])
  })

  it('is private from the statement after it', () => {
    const open = FUNCTIONS.filter(({ name, privileges }) => {
      const from = name.startsWith('credits_private.') ? 'public' : 'public, anon, authenticated'
      const revoke = `revoke execute on function ${name} from ${from};`
      return !privileges.replaceAll(/\s+/g, ' ').includes(revoke)
    })
    expect(open.map(({ name }) => name)).toEqual([])
  })

  it('names its rows by whole words', () => {
    const names = FUNCTIONS.flatMap(({ name, text }) =>
      [...text.matchAll(/^ {2}(?!if )([a-z_]+) (?:constant )?(?:public|credits_private|auth)\.\w+[ ;,]/gm)]
        .filter((match) => (match[1] as string).length < 3)
        .map((match) => `${name}: ${match[1]}`),
    )
    expect(names).toEqual([])
  })
})

/** A guard: statements whose absence is a known fault. */
interface Guard {
  name: string
  in: SqlFunction
  /** The function without it. */
  without: string
}

function guardsOf(sqlFunction: SqlFunction): Guard[] {
  const { text } = sqlFunction
  const lines = [...text.matchAll(/^.*-- guard: ([a-z-]+)\n/gm)].map((match) => ({
    name: match[1] as string,
    in: sqlFunction,
    without: text.replace(match[0], ''),
  }))
  const blocks = [...text.matchAll(/^ *-- guard ([a-z-]+) \{\n[\s\S]*?^ *-- \} \1\n/gm)].map((match) => ({
    name: match[1] as string,
    in: sqlFunction,
    without: text.replace(match[0], ''),
  }))
  return [...lines, ...blocks]
}

const GUARDS = FUNCTIONS.flatMap(guardsOf)

describe('each guard', () => {
  it('has a name of its own, and each opening has its closing', () => {
    const names = GUARDS.map(({ name }) => name)
    expect([...names].sort()).toEqual([...new Set(names)].sort())
    const text = FILES.map((file) => file.text).join('\n')
    const openings = [...text.matchAll(/-- guard ([a-z-]+) \{/g)].map((match) => match[1])
    const closings = [...text.matchAll(/-- \} ([a-z-]+)/g)].map((match) => match[1])
    expect(openings).toEqual(closings)
    const lines = [...text.matchAll(/-- guard: [a-z-]+$/gm)]
    expect(text.match(/-- guard/g)).toHaveLength(openings.length + lines.length)
  })

  it.each(GUARDS.map((guard) => [guard.name, guard] as const))(
    '%s can be left out: what stays is valid',
    async (_, guard) => {
      const client = await database.admin.connect()
      try {
        await client.query('begin')
        await client.query(guard.without)
      } finally {
        await client.query('rollback')
        client.release()
      }
    },
  )
})

/** Tables that a cluster distributes by account. */
const ACCOUNT_TABLES = [
  'credit_balances',
  'credit_lots',
  'credit_reservations',
  'credit_transactions',
  'credit_transaction_costs',
]

describe('on a cluster', () => {
  it('every unique key of an account table begins with account_id', async () => {
    const { rows } = await database.admin.query(
      `select i.indexrelid::regclass::text as index from pg_index i join pg_attribute a
         on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
       where i.indrelid = any ($1::regclass[]) and i.indisunique and a.attname <> 'account_id'`,
      [ACCOUNT_TABLES.map((table) => `public.${table}`)],
    )
    expect(rows).toEqual([])
  })

  it('every statement on an account table names account_id', () => {
    const statements = FUNCTIONS.flatMap(({ name, text }) =>
      text.split(';').map((statement) => ({ name, statement: statement.replaceAll(/--.*$/gm, '') })),
    ).filter(({ statement }) =>
      ACCOUNT_TABLES.some((table) => new RegExp(`(?:from|join|update|into) public\\.${table}\\b`).test(statement)),
    )
    expect(statements.length).toBeGreaterThan(20)
    const loose = statements.filter(({ statement }) => !/account_id|values \(\w+\.\*\)/.test(statement))
    // Reports read across accounts, in the order of time; they run on each server of a cluster.
    expect(loose.map(({ name }) => name)).toEqual(['public.credits_get_expired_reservations'])
  })

  it('no statement that changes rows has a volatile function in a condition, and RETURNING gives columns', () => {
    const text = FUNCTIONS.map((sqlFunction) => sqlFunction.text.replaceAll(/--.*$/gm, '')).join('\n')
    const changes = [...text.matchAll(/\b(?:update|delete from|insert into) (?:public|credits_private)\.[^;]*;/g)].map(
      (match) => match[0],
    )
    expect(changes.length).toBeGreaterThan(10)
    for (const change of changes) {
      const condition = change.slice(change.search(/\bwhere\b/))
      if (/\bwhere\b/.test(change)) expect(condition).not.toMatch(/clock_timestamp\(|random\(|gen_random_uuid\(/)
      const returning = change.split(/\breturning\b/)[1]
      if (returning !== undefined) expect(returning.split(')')[0]).not.toMatch(/\(/)
    }
  })
})
