import type { z } from 'zod'
import { invalidInput } from '../core/errors.ts'
import type { Credits } from '../credits/types.ts'
import type { RouteContext } from './route.ts'
import type * as schemas from './schemas.ts'

type MarginChanges = NonNullable<NonNullable<Parameters<Credits['whatIf']>[0]>['margins']>

/** A page waits for the answer, so a period has an end. The command line has no such bound. */
const MAX_CHARGES = 100_000

/** `GET /admin/credits/report` */
export async function getReport({
  query,
  credits,
}: RouteContext<schemas.PeriodQuery, undefined>): Promise<schemas.ProfitReportBody> {
  return credits.report({ ...query, maxCharges: MAX_CHARGES })
}

/** `GET /admin/credits/what-if` */
export async function getWhatIf({
  query,
  credits,
}: RouteContext<schemas.WhatIfQuery, undefined>): Promise<schemas.WhatIfBody> {
  const { margins, rates, ...period } = query
  return credits.whatIf({
    ...period,
    margins: margins === undefined ? undefined : marginsOf(margins),
    rates,
    maxCharges: MAX_CHARGES,
  })
}

/** `GET /admin/credits/drift` */
export async function getDrift({
  query,
  credits,
}: RouteContext<schemas.DriftQuery, undefined>): Promise<schemas.DriftBody> {
  return credits.drift({ ...query, maxCharges: MAX_CHARGES })
}

const MARGIN = /^(?:default|(model|provider|feature|plan):(.+))=([^=]*)$/

/** `default=40,model:openai/gpt-5=10,feature:chat=` : an empty percentage removes the override. */
function marginsOf(text: string): MarginChanges {
  return text.split(',').map((part) => {
    const [matched, scope, target, percent] = MARGIN.exec(part) ?? []
    if (matched === undefined) throw invalidInput('margins', 'expected default=40,model:openai/gpt-5=10')
    const marginPercent = percent === '' || percent === undefined ? null : percent
    if (scope === undefined) return { scope: 'default', marginPercent }
    return { scope: scope as z.infer<typeof schemas.overrideScopeSchema>, target, marginPercent }
  })
}
