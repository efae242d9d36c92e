import { CreditError } from '../core/errors.ts'
import type { Credits } from '../credits/types.ts'
import type { RouteContext } from './route.ts'
import type * as schemas from './schemas.ts'

type MarginRow = Awaited<ReturnType<Credits['setMargin']>>
type PricingSnapshot = Awaited<ReturnType<Credits['pricing']>>['snapshot']

/** `GET /admin/credits/margins` */
export async function getMargins({ credits }: RouteContext<undefined, undefined>): Promise<schemas.MarginsBody> {
  const margins = await credits.getMargins()
  return {
    default: margins.default && toMarginBody(margins.default),
    overrides: margins.overrides.map(toMarginBody),
    scheduled: margins.scheduled.map(toMarginBody),
    asOf: margins.asOf,
  }
}

/** `PUT /admin/credits/margins` */
export async function setDefaultMargin({
  credits,
  user,
  body,
}: RouteContext<undefined, schemas.SetMarginBody>): Promise<schemas.MarginBody> {
  const { marginPercent, ...change } = body
  const input = { ...change, scope: 'default', marginPercent: String(marginPercent), actorId: user.id } as const
  return toMarginBody(await credits.setMargin(input))
}

/** `PUT /admin/credits/margins/{model}` */
export async function setOverride(
  context: RouteContext<schemas.OverrideQuery, schemas.SetMarginBody>,
): Promise<schemas.MarginBody> {
  const { credits, user, body, query } = context
  const { scope = 'model' } = query
  const { marginPercent, ...change } = body
  const target = scope === 'model' ? await knownModel(context) : context.target
  const row = await credits.setMargin({
    ...change,
    scope,
    target,
    marginPercent: String(marginPercent),
    actorId: user.id,
  })
  return toMarginBody(row)
}

/** `DELETE /admin/credits/margins/{model}` */
export async function removeOverride({
  credits,
  user,
  query,
  target,
}: RouteContext<schemas.RemoveMarginQuery, undefined>): Promise<schemas.MarginBody> {
  const { scope = 'model', ...change } = query
  return toMarginBody(await credits.removeMargin({ ...change, scope, target, actorId: user.id }))
}

/** A mistyped model would be an override that never applies; a renamed one is meant under its current name. */
async function knownModel({
  credits,
  target,
}: Pick<RouteContext<unknown, unknown>, 'credits' | 'target'>): Promise<string> {
  const { snapshot } = await credits.pricing()
  const modelId = Object.hasOwn(snapshot.aliases, target) ? (snapshot.aliases[target] ?? target) : target
  if (snapshot.rates.some((rate) => rate.modelId === modelId)) return modelId
  throw new CreditError({
    code: 'UNKNOWN_MODEL',
    message: `There is no model ${target}. Look its id up in GET /admin/credits/rates, or add it with \`credits rates set\``,
    details: { model: target },
  })
}

/** `GET /admin/credits/audit` */
export async function getAudit({
  credits,
  query,
}: RouteContext<schemas.PageQuery, undefined>): Promise<schemas.MarginAuditBody> {
  return credits.getMarginAudit(query)
}

/** `GET /admin/credits/rates` */
export async function getRates({
  credits,
  query,
}: RouteContext<schemas.RatesQuery, undefined>): Promise<schemas.RatesBody> {
  const { search = '', limit = 100 } = query
  const { snapshot } = await credits.pricing()
  const wanted = search.trim().toLowerCase()
  const matches = currentRates(snapshot).filter((rate) => rate.modelId.toLowerCase().includes(wanted))
  const data = matches
    .slice(0, limit)
    .map(({ id: _, ...rate }) => ({ ...rate, pricing: rate.pricing && { ...rate.pricing } }))
  return { data, total: matches.length }
}

/** In force or scheduled: the snapshot may contain superseded rows too, which running reservations still need. */
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

function toMarginBody(row: MarginRow): schemas.MarginBody {
  const { id, scope, target, marginPercent, version, effectiveFrom, createdAt } = row
  return { id, scope, target, marginPercent, version, effectiveFrom, createdAt }
}
