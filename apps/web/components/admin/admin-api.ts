'use client'

import type { MarginAuditBody, MarginBody, MarginsBody, RatesBody, SetMarginBody } from '@layers/credits/http'
import { type CreditError, fetchJson } from '@layers/credits/react'
import useSWR from 'swr'
import useSWRInfinite from 'swr/infinite'

export type Margin = MarginBody
export type AuditEntry = MarginAuditBody['data'][number]

const MARGINS = '/api/admin/credits/margins'

/** Margins in force and scheduled. */
export function useMargins() {
  return useSWR<MarginsBody, CreditError>(MARGINS, fetchJson)
}

/** Who changed which margin, a page at a time. */
export function useAudit() {
  return useSWRInfinite<MarginAuditBody, CreditError>((_index: number, previous: MarginAuditBody | null) => {
    if (previous && previous.nextCursor === null) return null
    return `/api/admin/credits/audit?limit=10${previous ? `&cursor=${encodeURIComponent(previous.nextCursor ?? '')}` : ''}`
  }, fetchJson)
}

/** Models whose id contains `search`. */
export function useRates(search: string) {
  return useSWR<RatesBody, CreditError>(
    `/api/admin/credits/rates?limit=50&search=${encodeURIComponent(search)}`,
    fetchJson,
    {
      keepPreviousData: true,
    },
  )
}

function address({ scope, target }: Pick<Margin, 'scope' | 'target'>): string {
  if (scope === 'default') return MARGINS
  return `${MARGINS}/${encodeURIComponent(target)}${scope === 'model' ? '' : `?scope=${scope}`}`
}

/** Sets a margin, decided on the version that was shown. */
export function putMargin(margin: Pick<Margin, 'scope' | 'target'>, body: SetMarginBody): Promise<Margin> {
  return fetchJson(address(margin), { method: 'PUT', body })
}

/** Removes an override, decided on the version that was shown. */
export function deleteMargin(margin: Margin): Promise<Margin> {
  const url = address(margin)
  const query = `${url.includes('?') ? '&' : '?'}expectedVersion=${margin.version}`
  return fetchJson(`${url}${query}`, { method: 'DELETE' })
}
