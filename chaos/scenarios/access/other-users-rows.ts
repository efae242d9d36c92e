import { rest } from '../../runner/rest.ts'
import type { Scenario, ScenarioContext } from '../../runner/scenario.ts'
import type { Random } from '../../workload/random.ts'
import { runConcurrently } from '../../workload/run-concurrently.ts'
import { type Actor, createActors } from './actors.ts'

/** Relations of which a user sees the own rows. */
const OWNED = [
  'profiles',
  'credit_balances',
  'credit_balances_text',
  'credit_lots',
  'credit_lots_text',
  'credit_reservations',
  'credit_transactions',
  'credit_transactions_text',
]
const COUNT = { Prefer: 'count=exact' }

/** E2: one user asks for rows of another in every way that PostgREST offers. */
export const E2: Scenario = {
  id: 'E2',
  claim: 'No filter, embedding, order, count or function of PostgREST shows one user a row of another.',
  faults: ['query'],
  broken: [
    {
      name: 'a policy shows everything',
      sql: 'create policy leak on public.credit_transactions for select to authenticated using (true)',
    },
  ],
  run: async (context) => {
    const database = await context.openDatabase({ api: true })
    const actors = await createActors(context, database)
    const of = (name: string): Actor => {
      const found = actors.find((actor) => actor.name === name)
      if (!found?.token || !found.userId) throw new Error(`no ${name}`)
      return found
    }
    const [a, b] = [of('user A'), of('user B')]
    const { rows } = await database.admin.query<{ id: string }>(
      `select id from public.credit_transactions where account_id = $1 union select id
        from public.credit_reservations where account_id = $1`,
      [b.userId],
    )
    const theirs = [b.userId ?? '', ...rows.map(({ id }) => id)]
    await runConcurrently({ random: context.random, times: context.goal('query', 150), width: 12 }, async (random) => {
      const query = queryFor(random, theirs)
      const { status, body, headers } = await rest(database, query, {
        ...(a.token ? { token: a.token } : {}),
        headers: COUNT,
      })
      context.countRuns()
      context.countFault('query')
      context.check(status < 500, `a server error for ${query}`, body)
      const leaked = status < 300 && theirs.some((id) => body.includes(id))
      context.check(!leaked, `a row of another user through ${query}`)
      const about = /\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1]
      const aimed = /^[a-z_]+\?(account_id|user_id)=eq\./.test(query)
      context.check(!(aimed && about !== undefined && about !== '0'), `${about} rows are counted by ${query}`)
    })
    await sameAnswer(context, database, a, theirs[1] ?? '')
  },
}

function queryFor(random: Random, theirs: readonly string[]): string {
  const table = random.pick(OWNED)
  const id = random.pick(theirs)
  const key = table === 'profiles' ? 'user_id' : random.pick(['account_id', 'user_id', 'id'])
  return random.pick([
    `${table}?${key}=eq.${id}`,
    `${table}?${key}=in.(${id},${random.uuid()})`,
    `${table}?or=(${key}.eq.${id},${key}.neq.${id})`,
    `${table}?not.and=(${key}.eq.${random.uuid()})`,
    `${table}?select=*,credit_balances(*)&${key}=eq.${id}`,
    `${table}?select=*,credit_plans(*,credit_balances(*))`,
    `${table}?order=${key}.desc&offset=0&limit=1000`,
    `${table}?select=${key}&${key}=gte.00000000-0000-0000-0000-000000000000`,
    `rpc/credits_get_balance?p_account_id=${id}`,
    `rpc/credits_get_history?p_account_id=${id}&p_limit=10`,
    `credit_charges?transaction_id=eq.${id}`,
    `credit_transaction_costs?account_id=eq.${id}`,
  ])
}

/** A row of another user and a row that does not exist must give the same answer. */
async function sameAnswer(
  context: ScenarioContext,
  database: Parameters<typeof rest>[0],
  a: Actor,
  id: string,
): Promise<void> {
  const token = a.token ? { token: a.token } : {}
  for (const table of ['credit_transactions', 'credit_reservations']) {
    const theirs = await rest(database, `${table}?id=eq.${id}`, token)
    const missing = await rest(database, `${table}?id=eq.${context.random.uuid()}`, token)
    context.check(
      theirs.status === missing.status && theirs.body === missing.body,
      `${table} answers differently for a row of another user`,
    )
  }
}
