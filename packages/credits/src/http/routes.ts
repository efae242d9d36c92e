import { CreditError } from '../core/errors.ts'
import { add, sub } from '../core/money.ts'
import type { Credits } from '../credits/types.ts'
import type { Balance, MarginRow, MarginScope, PricingSnapshot, Transaction } from '../store/port.ts'
import { authorize, type CreditsUser, type RouteOptions, readJson, readQuery } from './guard.ts'
import { getDrift, getReport, getWhatIf } from './reports.ts'
import * as schemas from './schemas.ts'

/** The use cases that the HTTP API serves. */
export type HandlerCredits = Pick<
  Credits,
  | 'getBalance'
  | 'getHistory'
  | 'getMargins'
  | 'setMargin'
  | 'removeMargin'
  | 'getMarginAudit'
  | 'pricing'
  | 'report'
  | 'whatIf'
  | 'drift'
>

/** The verbs of the API. */
export type RouteMethod = 'GET' | 'PUT' | 'DELETE'

/** What a route is given once its sender is known and allowed. */
interface RouteContext {
  request: Request
  url: URL
  user: CreditsUser
  credits: HandlerCredits
  /** The rest of the path of a route that addresses one thing, decoded. */
  target: string
}

type RouteAction = (context: RouteContext) => Promise<unknown>

/** One path of the API. */
export interface Route {
  /** Below the base path. */
  path: string
  /** Whether more of the path follows, naming one thing. */
  hasTarget?: boolean
  admin?: boolean
  actions: Partial<Record<RouteMethod, RouteAction>>
}

/** The routes of the API, by the name under which `createCreditsHandlers` offers each alone. */
export const routes = {
  balance: { path: '/credits/balance', actions: { GET: getBalance } },
  history: { path: '/credits/history', actions: { GET: getHistory } },
  margins: { path: '/admin/credits/margins', admin: true, actions: { GET: getMargins, PUT: setDefaultMargin } },
  margin: {
    path: '/admin/credits/margins',
    hasTarget: true,
    admin: true,
    actions: { PUT: setOverride, DELETE: removeOverride },
  },
  audit: { path: '/admin/credits/audit', admin: true, actions: { GET: getAudit } },
  rates: { path: '/admin/credits/rates', admin: true, actions: { GET: getRates } },
  report: { path: '/admin/credits/report', admin: true, actions: { GET: getReport } },
  whatIf: { path: '/admin/credits/what-if', admin: true, actions: { GET: getWhatIf } },
  drift: { path: '/admin/credits/drift', admin: true, actions: { GET: getDrift } },
} as const satisfies Record<string, Route>

/** Authorises the sender, then runs the route: the proxy in front of it is not trusted to have done so. */
export async function runRoute(
  route: Route,
  request: Request,
  options: RouteOptions & { credits: HandlerCredits },
): Promise<Response> {
  const url = new URL(request.url)
  const allowed = Object.keys(route.actions)
  // HEAD is GET without the body, which the server in front cuts off.
  const method = request.method === 'HEAD' ? 'GET' : request.method
  const action = allowed.includes(method) ? route.actions[method as RouteMethod] : undefined
  if (!action) {
    throw new CreditError({
      code: 'METHOD_NOT_ALLOWED',
      message: `Use ${allowed.join(' or ')} here`,
      details: { allow: allowed.join(', ') },
    })
  }
  const user = await authorize(request, { ...options, admin: route.admin })
  const target = route.hasTarget ? targetOf(url.pathname, route.path) : ''
  const body = await action({ request, url, user, credits: options.credits, target })
  return Response.json(body, { headers: { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } })
}

/** A model id holds a slash, which arrives raw or encoded depending on who wrote the URL. */
function targetOf(pathname: string, path: string): string {
  const encoded = pathname.slice(pathname.indexOf(`${path}/`) + path.length + 1)
  try {
    return decodeURIComponent(encoded)
  } catch {
    throw new CreditError({ code: 'INVALID_INPUT', message: 'The address is not encoded properly' })
  }
}

async function getBalance({ credits, user }: RouteContext): Promise<schemas.BalanceBody> {
  return toBalanceBody(await credits.getBalance({ userId: user.id }))
}

async function getHistory({ credits, user, url }: RouteContext): Promise<schemas.HistoryBody> {
  const query = readQuery(url, schemas.historyQuerySchema)
  const { data, nextCursor } = await credits.getHistory({ ...query, userId: user.id })
  return { data: data.map(toTransactionBody), nextCursor }
}

async function getMargins({ credits }: RouteContext): Promise<schemas.MarginsBody> {
  const margins = await credits.getMargins()
  return {
    default: margins.default && toMarginBody(margins.default),
    overrides: margins.overrides.map(toMarginBody),
    scheduled: margins.scheduled.map(toMarginBody),
    asOf: margins.asOf,
  }
}

async function setDefaultMargin(context: RouteContext): Promise<schemas.MarginBody> {
  return setMargin(context, 'default', undefined)
}

async function setOverride(context: RouteContext): Promise<schemas.MarginBody> {
  const { scope = 'model' } = readQuery(context.url, schemas.overrideQuerySchema)
  return setMargin(context, scope, await knownTarget(context, scope))
}

async function setMargin(
  { request, credits, user }: RouteContext,
  scope: MarginScope,
  target: string | undefined,
): Promise<schemas.MarginBody> {
  const { marginPercent, ...change } = await readJson(request, schemas.setMarginSchema)
  const row = await credits.setMargin({
    ...change,
    scope,
    target,
    marginPercent: String(marginPercent),
    actorId: user.id,
  })
  return toMarginBody(row)
}

async function removeOverride({ credits, user, url, target }: RouteContext): Promise<schemas.MarginBody> {
  const { scope = 'model', ...change } = readQuery(url, schemas.removeMarginQuerySchema)
  return toMarginBody(await credits.removeMargin({ ...change, scope, target, actorId: user.id }))
}

/** A mistyped model would be an override that never applies; a renamed one is meant under its current name. */
async function knownTarget({ credits, target }: RouteContext, scope: MarginScope): Promise<string> {
  if (scope !== 'model') return target
  const { snapshot } = await credits.pricing()
  const modelId = Object.hasOwn(snapshot.aliases, target) ? (snapshot.aliases[target] ?? target) : target
  if (snapshot.rates.some((rate) => rate.modelId === modelId)) return modelId
  throw new CreditError({
    code: 'UNKNOWN_MODEL',
    message: 'There is no model with this id',
    details: { model: target },
  })
}

async function getAudit({ credits, url }: RouteContext): Promise<schemas.MarginAuditBody> {
  return credits.getMarginAudit(readQuery(url, schemas.pageQuerySchema))
}

async function getRates({ credits, url }: RouteContext): Promise<schemas.RatesBody> {
  const { search = '', limit = 100 } = readQuery(url, schemas.ratesQuerySchema)
  const { snapshot } = await credits.pricing()
  const wanted = search.trim().toLowerCase()
  const matches = currentRates(snapshot).filter((rate) => rate.modelId.toLowerCase().includes(wanted))
  const data = matches
    .slice(0, limit)
    .map(({ id: _, ...rate }) => ({ ...rate, pricing: rate.pricing && { ...rate.pricing } }))
  return { data, total: matches.length }
}

/** In force or scheduled: the snapshot may hold superseded rows too, which running reservations still need. */
function currentRates({ rates, asOf }: PricingSnapshot): PricingSnapshot['rates'] {
  const now = Date.parse(asOf)
  const inForce = new Map<string, number>()
  for (const { modelId, effectiveFrom } of rates) {
    const from = Date.parse(effectiveFrom)
    if (from <= now) inForce.set(modelId, Math.max(from, inForce.get(modelId) ?? from))
  }
  return rates
    .filter(({ modelId, effectiveFrom }) => Date.parse(effectiveFrom) >= (inForce.get(modelId) ?? now))
    .sort((a, b) => a.modelId.localeCompare(b.modelId) || a.effectiveFrom.localeCompare(b.effectiveFrom))
}

/** The balance as the API shows it. */
export function toBalanceBody(balance: Balance): schemas.BalanceBody {
  const { available, planCredits, addOnCredits, reserved, debt, overageLimit, planId, status, periodEndsAt } = balance
  return {
    available,
    balance: sub(add(planCredits, addOnCredits), debt),
    planCredits,
    addOnCredits,
    reserved,
    debt,
    overageLimit,
    plan: planId,
    status,
    periodEndsAt,
  }
}

/** Named one by one, so that a column added to the ledger never becomes public by itself. */
function toTransactionBody(transaction: Transaction): schemas.TransactionBody {
  const { id, version, type, source, amount, balanceAfter, uncollected, reservationId, reversesId } = transaction
  const { feature, model, inputTokens, outputTokens, estimated, late, reason, createdAt } = transaction
  return {
    id,
    version,
    type,
    source,
    amount,
    balanceAfter,
    uncollected,
    reservationId,
    reversesId,
    feature,
    model,
    inputTokens,
    outputTokens,
    estimated,
    late,
    reason,
    createdAt,
  }
}

function toMarginBody({
  id,
  scope,
  target,
  marginPercent,
  version,
  effectiveFrom,
  createdAt,
}: MarginRow): schemas.MarginBody {
  return { id, scope, target, marginPercent, version, effectiveFrom, createdAt }
}
