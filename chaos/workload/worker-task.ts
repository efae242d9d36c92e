/** Where a worker dies. */
export const FAILPOINTS = [
  'after-reserve',
  'before-provider',
  'after-provider',
  'mid-stream',
  'before-settle',
  'after-settle',
  'never',
] as const

/** What a worker is told on its command line, as JSON. */
export interface WorkerOrder {
  dbUrl: string
  gatewayUrl: string
  gatewayApiKey: string
  userId: string
  /** Ties the provider's journal to the reservation. */
  callId: string
  failpoint: (typeof FAILPOINTS)[number]
  /** Dies after so many milliseconds, wherever it is then. */
  dieAfterMs?: number | undefined
}
