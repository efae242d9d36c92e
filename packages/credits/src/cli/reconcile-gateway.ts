import type { GatewayProvider } from '@ai-sdk/gateway'
import type pg from 'pg'
import { isZero, sum } from '../core/money.ts'
import { toMicros } from '../core/time.ts'
import type { Credits } from '../credits/types.ts'
import { createCredits } from '../credits.ts'
import { postgresStore } from '../store/postgres.ts'
import type { Reservation } from '../store/types.ts'
import type { ExitCode, Output } from './command.ts'
import { callFunction } from './database.ts'
import { loadGateway } from './gateway.ts'

const PER_PAGE = 1_000
const DAY_MS = 86_400_000

/** A reservation that expired without a settle: its process died, or the answer of its call was lost. */
interface ExpiredReservation extends Reservation {
  /** What it kept back when it expired: the most that the call may have cost. */
  reserved: string
}

interface ExpiredPage {
  data: ExpiredReservation[]
  next: object | null
}

/** The tag by which the gateway's report finds the calls of a reservation. The wrapper sends it with each call. */
export function reservationTag(reservationId: string): string {
  return `credits:${reservationId}`
}

/** `credits reconcile --gateway` */
export async function reconcileGateway(
  client: pg.Client,
  { apply, from }: { apply: boolean; from: string | undefined },
  output: Output,
): Promise<ExitCode> {
  const start = from ?? new Date(Date.now() - 7 * DAY_MS).toISOString()
  toMicros(start, '--from')
  const expired = await expiredReservations(client, start)
  const greatest = sum(expired.map(({ reserved }) => reserved))
  output.say(`${expired.length} reservations expired without a settle; their calls cost at most ${greatest} credits`)
  if (!apply) {
    for (const { reservationId, userId, reserved, model } of expired)
      output.say(`  ${reservationId} of ${userId}: at most ${reserved}${model === null ? '' : `, ${model}`}`)
    if (expired.length > 0) output.say('Nothing was changed: repeat with --apply.')
    output.answer({ applied: false, greatest, expired })
    return expired.length === 0 ? 0 : 1
  }
  const gateway = await loadGateway()
  const credits = createCredits({ store: postgresStore(client) })
  const charged: object[] = []
  const unknown: string[] = []
  for (const reservation of expired) {
    const costUsd = await reportedCost(gateway, reservation)
    if (costUsd === undefined) unknown.push(reservation.reservationId)
    else charged.push(await charge(credits, reservation, costUsd, output))
  }
  output.say(`${charged.length} charged, ${unknown.length} unknown to the gateway's report`)
  output.answer({ applied: true, charged, unknown })
  return unknown.length === 0 ? 0 : 1
}

async function expiredReservations(client: pg.Client, from: string): Promise<ExpiredReservation[]> {
  const found: ExpiredReservation[] = []
  let after: string | null = null
  do {
    const page: ExpiredPage = await callFunction(client, 'credits_get_expired_reservations', [
      from,
      null,
      PER_PAGE,
      after,
    ])
    found.push(...page.data)
    after = page.next === null ? null : JSON.stringify(page.next)
  } while (after !== null)
  return found
}

/** What the gateway says that the calls of a reservation cost; undefined when it knows none. */
async function reportedCost(gateway: GatewayProvider, reservation: ExpiredReservation): Promise<string | undefined> {
  const { results } = await gateway.getSpendReport({
    startDate: reservation.createdAt.slice(0, 10),
    // A call may end on the day after its reservation.
    endDate: new Date(Date.parse(reservation.createdAt) + DAY_MS).toISOString().slice(0, 10),
    groupBy: 'tag',
    tags: [reservationTag(reservation.reservationId)],
  })
  const rows = results.filter(({ tag }) => tag === reservationTag(reservation.reservationId))
  const costs = rows.map(({ marketCost, totalCost }) => decimal(marketCost || totalCost))
  const total = sum(costs)
  return rows.length === 0 || isZero(total) ? undefined : total
}

/** The gateway reports JSON numbers; 12 places are those of the ledger. */
function decimal(value: number): string {
  return value.toFixed(12).replace(/\.?0+$/, '')
}

async function charge(
  credits: Credits,
  { reservationId, userId, model, feature, rateId, marginId }: ExpiredReservation,
  costUsd: string,
  output: Output,
): Promise<object> {
  const priced = await credits.price({
    model: model ?? 'unknown',
    usage: { inputTokens: 0, outputTokens: 0 },
    userId,
    reported: { costUsd, source: 'gateway-cost' },
    estimated: false,
    ...(feature !== null && { feature }),
    ...(rateId !== null && { rateId }),
    ...(marginId !== null && { marginId }),
  })
  const { transaction } = await credits.settle({ userId, reservationId, charge: priced })
  const uncollected = transaction?.uncollected ?? '0'
  const missing = isZero(uncollected) ? '' : `, ${uncollected} uncollected`
  output.say(`charged  ${reservationId}: ${transaction?.amount ?? '0'} credits${missing} (USD ${costUsd})`)
  return { reservationId, userId, costUsd, transaction }
}
