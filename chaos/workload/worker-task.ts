/** Where a worker process is killed. */
export const FAILPOINTS = [
  'after-reserve',
  'before-provider',
  'after-provider',
  'mid-stream',
  'before-settle',
  'after-settle',
  'never',
] as const

/** The command line of a worker process, as JSON. */
export interface WorkerTask {
  dbUrl: string
  gatewayUrl: string
  gatewayApiKey: string
  userId: string
  /** Connects the journal of the model gateway with the reservation. */
  callId: string
  failpoint: (typeof FAILPOINTS)[number]
  /** Kill it after so many milliseconds, at any point. */
  killAfterMs?: number | undefined
}
