import type { GatewayProvider } from '@ai-sdk/gateway'
import type pg from 'pg'
import { reservationTag } from '../ai/meter/gateway-tag.ts'
import { compare, isZero, sub, sum } from '../core/money.ts'
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
  const closed: string[] = []
  const unknown: string[] = []
  for (const reservation of expired) {
    const { userId, reservationId } = reservation
    const reported = await reportedCost(gateway, reservation)
    if (reported === undefined) {
      unknown.push(reservationId)
      continue
    }
    const costUsd = sub(reported, await capturedCost(client, reservation))
    if (compare(costUsd, '0') > 0) charged.push(await charge(credits, reservation, costUsd, output))
    else {
      await credits.settle({ userId, reservationId })
      closed.push(reservationId)
    }
  }
  output.say(`${charged.length} charged, ${closed.length} had been charged, ${unknown.length} unknown to the report`)
  output.answer({ applied: true, charged, closed, unknown })
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

/** What earlier steps of the reservation have charged: the report counts them too. */
async function capturedCost(client: pg.Client, { userId, reservationId }: ExpiredReservation): Promise<string> {
  const { rows } = await client.query<{ cost: string }>(
    `with captured as (
       select entry.id, entry.version from public.credit_transactions entry
       where entry.account_id = $1 and entry.reservation_id = $2)
     select trim_scale(coalesce(sum(charge.cost_usd), 0))::text as cost from public.credit_charges charge
     where charge.account_id = $1
       and (charge.version in (select captured.version from captured)
         or charge.corrects_id in (select captured.id from captured))`,
    [userId, reservationId],
  )
  return rows[0]?.cost ?? '0'
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
