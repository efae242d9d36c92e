/** An account in whole millionths, written from the documentation alone, to be compared with the database. */

export type Bucket = 'plan' | 'add-on'

/** What is left of a grant. */
export interface ModelLot {
  bucket: Bucket
  priority: number
  /** Seconds of model time; Infinity: never. */
  expires: number
  /** Order in which the lots were made. */
  sequence: number
  amount: bigint
  remaining: bigint
  /** What has expired of it. */
  expired: bigint
}

/** A reservation. */
export interface ModelReservation {
  state: 'active' | 'settled' | 'released' | 'expired'
  reserved: bigint
  captured: bigint
  uncollected: bigint
  created: number
  expires: number
}

/** A usage that may be refunded. */
export interface ModelUsage {
  amount: bigint
  refunded: bigint
  /** What each lot still has to get back, in the order in which they were taken from. */
  taken: { lot: ModelLot; amount: bigint }[]
}

/** A grant that may be reversed. */
export interface ModelGrant {
  amount: bigint
  reversed: bigint
  /** The part of what was reversed that was taken, as credits or debt. */
  collected: bigint
  /** Undefined when a debt used up the whole grant. */
  lot: ModelLot | undefined
}

/** What is compared after every operation. */
export interface ModelBalance {
  plan: bigint
  addOn: bigint
  debt: bigint
  reserved: bigint
}

const NEVER = Number.POSITIVE_INFINITY

// Math.min takes no bigint.
const least = (first: bigint, ...rest: bigint[]): bigint => {
  let smallest = first
  for (const value of rest) if (value < smallest) smallest = value
  return smallest
}
const notNegative = (value: bigint): bigint => (value < 0n ? 0n : value)

/** One account. Every operation answers with a code where the database refuses it. */
export class AccountModel {
  readonly overage: bigint
  readonly reservations = new Map<string, ModelReservation>()
  readonly usages = new Map<string, ModelUsage>()
  readonly grants = new Map<string, ModelGrant>()
  lots: ModelLot[] = []
  debt = 0n
  now = 0
  #sequence = 0

  constructor(overage: bigint) {
    this.overage = overage
  }

  get balance(): ModelBalance {
    const inBucket = (bucket: Bucket): bigint =>
      this.lots.reduce((total, lot) => (lot.bucket === bucket ? total + lot.remaining : total), 0n)
    return { plan: inBucket('plan'), addOn: inBucket('add-on'), debt: this.debt, reserved: this.#reservedBefore(NEVER) }
  }

  get available(): bigint {
    const { plan, addOn, debt, reserved } = this.balance
    return plan + addOn - debt + this.overage - reserved
  }

  /**
   * Reservations past their time expire. Then lots expire, except for what reservations made before their expiry
   * still cover, in burn-down order.
   */
  applyDue(): void {
    for (const reservation of this.reservations.values())
      if (reservation.state === 'active' && reservation.expires <= this.now) reservation.state = 'expired'
    let earlier = 0n
    for (const lot of this.#burnDown()) {
      const uncovered = this.#reservedBefore(lot.expires) - earlier
      const left = lot.expires > this.now ? lot.remaining : least(lot.remaining, notNegative(uncovered))
      earlier += left
      lot.expired += lot.remaining - left
      lot.remaining = left
    }
  }

  reserve(id: string, amount: bigint, minimum: bigint, life: number): string {
    this.applyDue()
    const reserved = least(amount, notNegative(this.available))
    if (reserved < minimum) return 'INSUFFICIENT_CREDITS'
    const times = { created: this.now, expires: this.now + life }
    this.reservations.set(id, { state: 'active', reserved, captured: 0n, uncollected: 0n, ...times })
    return 'ok'
  }

  extend(id: string, amount: bigint, minimum: bigint, life: number): string {
    this.applyDue()
    const reservation = this.#reservation(id)
    if (reservation.state !== 'active') return 'RESERVATION_CLOSED'
    const added = least(amount, this.available)
    if (added < minimum) return 'not granted'
    reservation.reserved += added
    reservation.expires = Math.max(reservation.expires, this.now + life)
    return 'ok'
  }

  capture(id: string, captureId: string, amount: bigint): string {
    this.applyDue()
    const reservation = this.#reservation(id)
    if (reservation.state === 'settled' || reservation.state === 'released') return 'RESERVATION_CLOSED'
    this.#charge(reservation, captureId, amount)
    return 'ok'
  }

  settle(id: string, amount: bigint): string {
    this.applyDue()
    const reservation = this.#reservation(id)
    if (reservation.state === 'released') return 'RESERVATION_CLOSED'
    if (reservation.state === 'settled') return 'ok'
    this.#charge(reservation, id, amount)
    reservation.state = 'settled'
    return 'ok'
  }

  release(id: string): string {
    this.applyDue()
    const reservation = this.#reservation(id)
    if (reservation.state === 'active') reservation.state = 'released'
    return 'ok'
  }

  grant(id: string, amount: bigint, lot: { bucket: Bucket; priority: number; life: number }): string {
    this.applyDue()
    const { bucket, priority, life } = lot
    const made = this.#addLot(amount, { bucket, priority, expires: this.now + life })
    this.grants.set(id, { amount, reversed: 0n, collected: 0n, lot: made })
    return 'ok'
  }

  adjust(amount: bigint): string {
    this.applyDue()
    if (amount > 0n) this.#addLot(amount, { bucket: 'add-on', priority: 100, expires: NEVER })
    else if (this.available - this.overage < -amount) return 'INSUFFICIENT_CREDITS'
    else this.#take(-amount, this.now)
    return 'ok'
  }

  /** Debt is paid first, then the lots get back what was taken from them, the last one first. */
  refund(id: string, amount: bigint): string {
    const usage = this.usages.get(id)
    if (!usage) throw new RangeError(`no usage ${id}`)
    const left = usage.amount - usage.refunded
    if (left === 0n || amount > left) return 'REFUND_EXCEEDS_ORIGINAL'
    this.applyDue()
    usage.refunded += amount
    const paid = least(this.debt, amount)
    this.debt -= paid
    let rest = amount - paid
    for (const part of usage.taken.toReversed()) {
      const { lot } = part
      if (lot.expires <= this.now) continue
      const back = least(rest, part.amount, lot.amount - lot.remaining)
      lot.remaining += back
      part.amount -= back
      rest -= back
    }
    if (rest > 0n) this.#addLot(rest, { bucket: 'add-on', priority: 100, expires: NEVER })
    return 'ok'
  }

  /** What is left of the lot is taken, then other lots pay for what was spent of it, then there is a debt. */
  reverse(id: string, amount: bigint): string {
    const grant = this.grants.get(id)
    if (!grant) throw new RangeError(`no grant ${id}`)
    const left = grant.amount - grant.reversed
    if (left === 0n || amount > left) return 'REFUND_EXCEEDS_ORIGINAL'
    this.applyDue()
    const { remaining, expired } = grant.lot ?? { remaining: 0n, expired: 0n }
    const spent = notNegative(grant.amount - remaining - expired - grant.collected)
    const taken = least(amount, remaining)
    if (grant.lot) grant.lot.remaining -= taken
    const owed = least(amount - taken, spent)
    this.#take(owed, this.now)
    grant.reversed += amount
    grant.collected += taken + owed
    return 'ok'
  }

  #charge(reservation: ModelReservation, id: string, amount: bigint): void {
    const reserved = reservation.state === 'active' ? reservation.reserved : 0n
    const charged = least(amount, notNegative(reserved + this.available))
    reservation.reserved = reserved - least(reserved, amount)
    reservation.captured += charged
    reservation.uncollected += amount - charged
    this.usages.set(id, { amount: charged, refunded: 0n, taken: this.#take(charged, reservation.created) })
  }

  /** Takes in burn-down order. Lots that had expired before `since` come last; the rest becomes debt. */
  #take(amount: bigint, since: number): ModelUsage['taken'] {
    const order = this.#burnDown()
    const taken: ModelUsage['taken'] = []
    let left = amount
    for (const lot of [
      ...order.filter(({ expires }) => expires > since),
      ...order.filter((lot) => lot.expires <= since),
    ]) {
      const part = least(lot.remaining, left)
      if (part === 0n) continue
      lot.remaining -= part
      left -= part
      taken.push({ lot, amount: part })
    }
    this.debt += left
    return taken
  }

  #addLot(amount: bigint, lot: Pick<ModelLot, 'bucket' | 'priority' | 'expires'>): ModelLot | undefined {
    const paid = least(this.debt, amount)
    this.debt -= paid
    const remaining = amount - paid
    if (remaining === 0n) return undefined
    this.#sequence += 1
    const made = { ...lot, sequence: this.#sequence, amount: remaining, remaining, expired: 0n }
    this.lots.push(made)
    return made
  }

  #burnDown(): ModelLot[] {
    const rank = ({ bucket }: ModelLot): number => (bucket === 'plan' ? 0 : 1)
    return this.lots
      .filter(({ remaining }) => remaining > 0n)
      .sort((a, b) => rank(a) - rank(b) || a.priority - b.priority || compare(a, b) || a.sequence - b.sequence)
  }

  #reservedBefore(time: number): bigint {
    const active = [...this.reservations.values()].filter(({ state, created }) => state === 'active' && created < time)
    return active.reduce((total, { reserved }) => total + reserved, 0n)
  }

  #reservation(id: string): ModelReservation {
    const reservation = this.reservations.get(id)
    if (!reservation) throw new RangeError(`no reservation ${id}`)
    return reservation
  }
}

function compare({ expires: a }: ModelLot, { expires: b }: ModelLot): number {
  return a === b ? 0 : a < b ? -1 : 1
}
