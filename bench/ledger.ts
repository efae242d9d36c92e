import { randomUUID } from 'node:crypto'
import type { Stack } from '@layers/local-stack'
import { type Driver, driverIn, type Script } from './ledger/driver.ts'
import { profile } from './ledger/profile.ts'
import { ACCOUNTS, BALANCE_READ, FLOOR, HISTORY_PAGE, makeLedger, PAIR, startServer } from './ledger/setup.ts'
import { type BenchOptions, type BenchReport, type BenchRow, median } from './report.ts'

const ROUNDS = 5
const SECONDS = 2
const CLIENTS = 8
/** Every rule of a reserve and a settle, against two bare transactions. */
const FLOOR_GOAL = 0.33

/** The goals of the ledger: the pair against its floor, growth, and the way through PostgREST. */
export async function run({ rows }: BenchOptions): Promise<BenchReport> {
  const large = rowsOf(rows ?? '500k')
  const { stack, folder, stop } = await startServer()
  try {
    const driver = driverIn(folder)
    const small = await makeLedger(stack, large / 10, true)
    const big = await makeLedger(stack, large)
    const where = await profile(driver, small.dbUrl)
    return {
      name: 'ledger',
      rows: [
        await againstFloor(driver, small.dbUrl, { accounts: ACCOUNTS, what: 'many accounts', where }),
        await againstFloor(driver, small.dbUrl, { accounts: 1, what: 'one hot account', where }),
        ...(await growth(driver, small.dbUrl, big.dbUrl, large)),
        await throughRest(stack, small.restUrl),
      ],
      notes: [
        `driver: ${driver.name}, on the same machine; fsync and synchronous_commit on`,
        `${ROUNDS} interleaved rounds of ${SECONDS} s, medians of the ratios`,
        'floor: two transactions, each one UPDATE by key and one INSERT in one statement',
        'left out: batches, leases, and the comparison with pgledger, which is not part of this repository',
      ],
    }
  } finally {
    await stop()
  }
}

/** Reserve and settle in the same seconds as the floor. */
async function againstFloor(
  driver: Driver,
  dbUrl: string,
  { accounts, what, where }: { accounts: number; what: string; where: string },
): Promise<BenchRow> {
  const load = { dbUrl, clients: CLIENTS, seconds: SECONDS, accounts }
  const [floors, pairs] = await alternately(
    () => driver.drive(FLOOR, load),
    () => driver.drive(PAIR, load),
  )
  return {
    what: `reserve + settle, ${what}, ${CLIENTS} clients`,
    of: 'the floor',
    ratio: ratioOf(pairs, floors),
    goal: { atLeast: FLOOR_GOAL },
    measured: `${whole(pairs)} pairs/s against ${whole(floors)}/s`,
    cause: `CPU; own time of the functions per pair in microseconds, one client: ${where}`,
  }
}

/** The same work on a small and a ten times larger ledger, side by side. */
async function growth(driver: Driver, small: string, big: string, rows: number): Promise<BenchRow[]> {
  const results: BenchRow[] = []
  const measures: [string, Script, number][] = [
    ['balance read', BALANCE_READ, 4],
    ['first history page', HISTORY_PAGE, 4],
    ['reserve + settle', PAIR, CLIENTS],
  ]
  for (const [what, script, clients] of measures) {
    const load = { clients, seconds: SECONDS, accounts: ACCOUNTS }
    const [before, after] = await alternately(
      () => driver.drive(script, { ...load, dbUrl: small }),
      () => driver.drive(script, { ...load, dbUrl: big }),
    )
    results.push({
      what: `${what} at ${rows.toLocaleString('en')} transactions`,
      of: `its speed at ${(rows / 10).toLocaleString('en')}`,
      ratio: ratioOf(after, before),
      goal: { atLeast: 0.85 },
      measured: `${whole(after)}/s against ${whole(before)}/s`,
      cause: 'a plan that reads more rows as the ledger grows, or a plan that is made again for every call',
    })
  }
  return results
}

/** What a reserve costs beyond a function that does nothing, call by call, one after the other. */
async function throughRest(stack: Stack, restUrl: string): Promise<BenchRow> {
  const call = async (name: string, args: object): Promise<number> => {
    const start = performance.now()
    const answer = await fetch(`${restUrl}/rpc/${name}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${stack.serviceRoleKey}` },
      body: JSON.stringify(args),
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${name}: ${answer.status} ${text}`)
    return performance.now() - start
  }
  const accountId = '1'.padStart(32, '0').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  const trivial: number[] = []
  const reserve: number[] = []
  for (let count = 0; count < 400; count += 1) {
    trivial.push(await call('bench_trivial', { p_id: randomUUID() }))
    reserve.push(
      await call('credits_reserve', { p_account_id: accountId, p_reservation_id: randomUUID(), p_amount: '0.01' }),
    )
  }
  // The first calls open connections and prepare statements.
  const [slow, quick] = [median(reserve.slice(50)), median(trivial.slice(50))]
  return {
    what: 'reserve through PostgREST, p50',
    of: 'a trivial rpc',
    ratio: slow / quick,
    measured: `${slow.toFixed(2)} ms against ${quick.toFixed(2)} ms; only the reserve has a commit to flush`,
  }
}

async function alternately(first: () => Promise<number>, second: () => Promise<number>): Promise<[number[], number[]]> {
  const results: [number[], number[]] = [[], []]
  for (let round = 0; round < ROUNDS; round += 1) {
    results[0].push(await first())
    results[1].push(await second())
  }
  return results
}

/** The median of the ratios of the rounds. What slows both halves of a round cancels out. */
function ratioOf(values: readonly number[], bases: readonly number[]): number {
  return median(values.map((value, round) => value / (bases[round] ?? Number.NaN)))
}

function whole(values: readonly number[]): string {
  return Math.round(median(values)).toLocaleString('en')
}

function rowsOf(text: string): number {
  const [, digits, unit = ''] = /^(\d+)([km]?)$/i.exec(text) ?? []
  if (digits === undefined) throw new RangeError(`--rows takes 100k, 1m, 10m or 100m, not ${text}`)
  return Number(digits) * { '': 1, k: 1000, m: 1_000_000 }[unit.toLowerCase() as '' | 'k' | 'm']
}
