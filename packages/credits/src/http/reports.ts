import type { z } from 'zod'
import { invalidInput } from '../core/money.ts'
import type { CreditsReports, WhatIfInput } from '../credits/report-types.ts'
import { readQuery } from './guard.ts'
import * as schemas from './schemas.ts'

/** A page waits for the answer, so a period has an end. The command line has no such bound. */
const MOST_CHARGES = 100_000

interface ReportContext {
  url: URL
  credits: Pick<CreditsReports, 'report' | 'whatIf' | 'drift'>
}

/** `GET /admin/credits/report` */
export async function getReport({ url, credits }: ReportContext): Promise<schemas.ProfitReportBody> {
  const period = readQuery(url, schemas.periodQuerySchema)
  return credits.report({ ...period, maxCharges: MOST_CHARGES })
}

/** `GET /admin/credits/what-if` */
export async function getWhatIf({ url, credits }: ReportContext): Promise<schemas.WhatIfBody> {
  const { margins, rates, ...period } = readQuery(url, schemas.whatIfQuerySchema)
  return credits.whatIf({
    ...period,
    margins: margins === undefined ? undefined : marginsOf(margins),
    rates,
    maxCharges: MOST_CHARGES,
  })
}

/** `GET /admin/credits/drift` */
export async function getDrift({ url, credits }: ReportContext): Promise<schemas.DriftBody> {
  return credits.drift({ ...readQuery(url, schemas.driftQuerySchema), maxCharges: MOST_CHARGES })
}

const MARGIN = /^(?:default|(model|provider|feature|plan):(.+))=([^=]*)$/

/** `default=40,model:openai/gpt-5=10,feature:chat=` : an empty percentage removes the override. */
function marginsOf(text: string): NonNullable<WhatIfInput['margins']> {
  return text.split(',').map((part) => {
    const [matched, scope, target, percent] = MARGIN.exec(part) ?? []
    if (matched === undefined) throw invalidInput('margins', 'expected default=40,model:openai/gpt-5=10')
    const marginPercent = percent === '' || percent === undefined ? null : percent
    if (scope === undefined) return { scope: 'default', marginPercent }
    return { scope: scope as z.infer<typeof schemas.overrideScopeSchema>, target, marginPercent }
  })
}
