import type { Usage } from '../core/pricing/usage.ts'
import type { CostSource, Metadata } from './port.ts'

/** One usage transaction with the operator's figures. */
export interface StoredCharge {
  transactionId: string
  accountId: string
  userId: string
  version: number
  /** Credits taken, positive. */
  amount: string
  /** Credits of this charge that could not be taken. */
  uncollected: string
  /** Credits of `amount` that were given back since. */
  refunded: string
  feature: string | null
  model: string | null
  /** The account's plan when it was charged. */
  planId: string | null
  estimated: boolean
  createdAt: string
  costUsd: string
  marginPercent: string | null
  costSource: CostSource
  computedCostUsd: string | null
  reportedCostUsd: string | null
  servedModel: string | null
  generationId: string | null
  usage: Usage | null
  /** The prices that the charge was made from; null unless `details` were asked for. */
  pricing: Metadata | null
}

/** Where a page of charges ended. */
export interface ChargePosition {
  createdAt: string
  accountId: string
  version: number
}

export interface StoreChargesInput {
  /** Inclusive / exclusive ISO times; default: everything. */
  from?: string | undefined
  to?: string | undefined
  /** 1 to 5000. */
  limit: number
  /** `next` of the page before. */
  after?: ChargePosition | undefined
  /** Price snapshots too: they are most of a row. */
  details?: boolean | undefined
}

/** `next` is null on the last page. */
export interface ChargesPage {
  data: StoredCharge[]
  next: ChargePosition | null
}
