/** The numbers of the catalogue: how much of each scenario has to happen before a run without findings counts. */

/** How often something has to happen. */
export interface Goal {
  /** Of what, in the plural, for the summary. */
  what: string
  /** The faults that count towards it; see `ScenarioContext.countFault`. */
  faults: readonly string[]
  ci: number
  release: number
}

const of = (ci: number, release: number, what: string, ...faults: string[]): Goal => ({ what, faults, ci, release })

/** By scenario. One without a number here runs each of its cases once. */
export const NUMBERS: Readonly<Record<string, readonly Goal[]>> = {
  A1: [of(1, 20, 'rounds of every race on every table', 'round')],
  A2: [of(3, 50, 'bursts of 1000', 'burst')],
  A3: [of(50, 1000, 'rounds of 50 sockets', 'synchronised')],
  A4: [of(20, 500, 'bursts of twice 200', 'mismatch')],
  A5: [of(20, 1000, 'rounds of every pair', 'round')],
  A6: [of(60, 1200, 'seconds', 'second')],
  A7: [of(30, 600, 'seconds on each level', 'second')],
  A8: [of(50_000, 2_000_000, 'operations', 'operation')],
  A9: [of(50, 1000, 'users', 'first use')],
  A10: [of(10, 200, 'blocked accounts', 'blocked account')],
  B1: [of(300, 3000, 'kills', 'kill on tmpfs', 'kill on disk')],
  B2: [of(500, 10_000, 'backends', 'terminated', 'cancelled', 'killed')],
  B4: ['after-reserve', 'before-provider', 'after-provider', 'mid-stream', 'before-settle', 'after-settle'].map(
    (point) => of(20, 500, `kills ${point}`, point),
  ),
  B5: [of(1000, 10_000, 'cuts', 'cut', 'reset', 'half-close', 'stall', 'trickle')],
  B6: [of(2000, 50_000, 'repeated deliveries', 'replay')],
  C1: [of(1000, 100_000, 'cases', 'settle', 'late settle')],
  C5: [of(50, 500, 'top-ups', 'top-up')],
  C6: [of(1000, 50_000, 'price changes', 'price change')],
  C7: [of(200, 10_000, 'margins', 'invalid margin')],
  C8: [of(20, 1000, 'races of 20', 'refund race')],
  C11: [of(1000, 100_000, 'amounts', 'limit')],
  C12: [of(2000, 20_000, 'sequences', 'sequence')],
  D1: [of(1_000_000, 1_000_000, 'charges', 'charge'), of(10_000, 50_000, 'estimates', 'estimate')],
  D2: [of(100_000, 1_000_000, 'charges', 'charge')],
  D3: [of(10_000, 10_000, 'round trips', 'round trip')],
  E2: [of(5000, 100_000, 'queries', 'query')],
  E4: [of(40, 40, 'rewrites', 'rewrite'), of(200, 5000, 'tamperings', 'tampering')],
  E5: [of(30, 30, 'shadows', 'shadow')],
  G: [
    of(50_000, 200_000, 'inputs over HTTP', 'PostgREST'),
    of(1_000_000, 10_000_000, 'inputs in process', 'pricing', 'schema', 'route handler'),
  ],
  H6: [of(10_000, 20_000, 'signups', 'signup')],
  H7: [of(20, 400, 'rounds of 30 signups', 'ceiling')],
}
