import 'server-only'
import { after } from 'next/server'

/**
 * A `waitUntil` for one request. Work that is handed to it, at any time before the response has ended, keeps the
 * process alive until it is done. Call this in the route handler itself: Next takes no work from a running stream.
 */
export function workAfterResponse(): (work: Promise<unknown>) => void {
  const pending: Promise<unknown>[] = []
  after(async () => {
    // Work that ends may have added more.
    for (let work = pending.shift(); work !== undefined; work = pending.shift()) await work.catch(() => undefined)
  })
  return (work) => void pending.push(work)
}
