'use client'

import type { DriftBody, ProfitReportBody, WhatIfBody } from '@layers/credits/http'
import { type CreditError, fetchJson } from '@layers/credits/react'
import useSWR from 'swr'

export type Totals = ProfitReportBody['total']
export type Group = keyof ProfitReportBody['by']

/** Reading a long ledger takes the database a moment: only when asked for. */
const QUIETLY = { revalidateOnFocus: false, keepPreviousData: true }

function query(values: Record<string, string | undefined>): string {
  const given = Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return new URLSearchParams(given).toString()
}

/** Actuals of a period that begins at `from`. */
export function useReport(from: string | undefined) {
  return useSWR<ProfitReportBody, CreditError>(`/api/admin/credits/report?${query({ from })}`, fetchJson, QUIETLY)
}

/** The same under other margins; nothing is read while there are none. */
export function useWhatIf(from: string | undefined, margins: string | null) {
  const url = margins === null ? null : `/api/admin/credits/what-if?${query({ from, margins })}`
  return useSWR<WhatIfBody, CreditError>(url, fetchJson, QUIETLY)
}

/** Computed against reported cost. */
export function useDrift(from: string | undefined) {
  return useSWR<DriftBody, CreditError>(`/api/admin/credits/drift?${query({ from })}`, fetchJson, QUIETLY)
}
