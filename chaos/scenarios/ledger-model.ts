/** An account as whole millionths: written from the documentation alone, to be compared with the database. */

/** Granted credits that live together. */
export interface ModelLot {
  bucket: 'plan' | 'add-on'
  priority: number
  /** Seconds of model time; Infinity: never. */
  expires: number
  /** Order of making. */
  sequence: number
  amount: bigint
  remaining: bigint
}

/** A reservation. */
export interface ModelHold {
  state: 'active' | 'settled' | 'released' | 'expired'
  held: bigint
  captured: bigint
  uncollected: bigint
  expires: number
}

/** A charge that may be refunded. */
export interface ModelCharge {
  amount: bigint
  refunded: bigint
  /** Lots in the order they were burned. */
  from: { lot: ModelLot; amount: bigint }[]
}

/** What is compared after every step. */
export interface ModelBalance {
  plan: bigint
  addOn: bigint
  debt: bigint
  reserved: bigint
}

const least = (...values: bigint[]): bigint => values.toSorted((a, b) => (a < b ? -1 : 1))[0] ?? 0n

/** One account. Every method answers with a code where the database refuses. */
export class AccountModel {
  readonly overage: bigint
  readonly holds = new Map<string, ModelHold>()
  readonly charges = new Map<string, ModelCharge>()
  lots: ModelLot[] = []
  debt = 0n
  now = 0
  private sequence = 0

  constructor(overage: bigint) {
    this.overage = overage
  }

  get balance(): ModelBalance {
    const inBucket = (bucket: string): bigint =>
      this.lots.reduce((total, lot) => (lot.bucket === bucket ? total + lot.remaining : total), 0n)
    const held = [...this.holds.values()].filter(({ state }) => state === 'active')
    const reserved = held.reduce((total, hold) => total + hold.held, 0n)
    return { plan: inBucket('plan'), addOn: inBucket('add-on'), debt: this.debt, reserved }
  }

  get available(): bigint {
    const { plan, addOn, debt, reserved } = this.balance
    return plan + addOn - debt + this.overage - reserved
  }

  /** Time passes: reservations end, then lots, but for what open reservations cover in burn-down order. */
  due(): void {
    for (const hold of this.holds.values())
      if (hold.state === 'active' && hold.expires <= this.now) hold.state = 'expired'
    let cover = this.balance.reserved
    for (const lot of this.burnDown()) {
      const covered = least(lot.remaining, cover)
      cover -= covered
      if (lot.expires <= this.now) lot.remaining = covered
    }
  }

  reserve(id: string, amount: bigint, minimum: bigint, ttl: number): string {
    this.due()
    if (this.available < minimum) return 'INSUFFICIENT_CREDITS'
    const held = least(amount, this.available)
    this.holds.set(id, { state: 'active', held, captured: 0n, uncollected: 0n, expires: this.now + ttl })
    return 'ok'
  }

  extend(id: string, amount: bigint, minimum: bigint, ttl: number): string {
    this.due()
    const hold = this.hold(id)
    if (hold.state !== 'active') return 'RESERVATION_CLOSED'
    const added = least(amount, this.available)
    if (added < minimum) return 'refused'
    hold.held += added
    hold.expires = Math.max(hold.expires, this.now + ttl)
    return 'ok'
  }

  capture(id: string, captureId: string, amount: bigint): string {
    this.due()
    const hold = this.hold(id)
    if (hold.state === 'settled' || hold.state === 'released') return 'RESERVATION_CLOSED'
    this.charge(hold, captureId, amount)
    return 'ok'
  }

  settle(id: string, amount: bigint): string {
    this.due()
    const hold = this.hold(id)
    if (hold.state === 'released') return 'RESERVATION_CLOSED'
    if (hold.state === 'settled') return 'ok'
    this.charge(hold, id, amount)
    hold.state = 'settled'
    return 'ok'
  }

  release(id: string): string {
    this.due()
    const hold = this.hold(id)
    if (hold.state === 'active') hold.state = 'released'
    return 'ok'
  }

  grant(amount: bigint, bucket: 'plan' | 'add-on', priority: number, life: number): string {
    this.due()
    this.addLot(amount, bucket, priority, this.now + life)
    return 'ok'
  }

  adjust(amount: bigint): string {
    this.due()
    if (amount > 0n) this.addLot(amount, 'add-on', 100, Number.POSITIVE_INFINITY)
    else if (this.available - this.overage < -amount) return 'INSUFFICIENT_CREDITS'
    else this.spend(-amount)
    return 'ok'
  }

  refund(chargeId: string, amount: bigint): string {
    const charge = this.charges.get(chargeId)
    if (!charge) return 'TRANSACTION_NOT_FOUND'
    const left = charge.amount - charge.refunded
    if (left === 0n || amount > left) return 'REFUND_EXCEEDS_ORIGINAL'
    this.due()
    charge.refunded += amount
    const paid = least(this.debt, amount)
    this.debt -= paid
    let rest = amount - paid
    for (const { lot, amount: taken } of charge.from.toReversed()) {
      if (lot.expires <= this.now) continue
      const back = least(rest, taken, lot.amount - lot.remaining)
      lot.remaining += back
      rest -= back
    }
    if (rest > 0n) this.addLot(rest, 'add-on', 100, Number.POSITIVE_INFINITY)
    return 'ok'
  }

  private charge(hold: ModelHold, id: string, amount: bigint): void {
    const held = hold.state === 'active' ? hold.held : 0n
    const free = held + this.available
    const charged = least(amount, free > 0n ? free : 0n)
    hold.held = held - least(held, amount)
    hold.captured += charged
    hold.uncollected += amount - charged
    this.charges.set(id, { amount: charged, refunded: 0n, from: this.spend(charged) })
  }

  private spend(amount: bigint): ModelCharge['from'] {
    const from: ModelCharge['from'] = []
    let left = amount
    for (const lot of this.burnDown()) {
      const taken = least(lot.remaining, left)
      if (taken === 0n) continue
      lot.remaining -= taken
      left -= taken
      from.push({ lot, amount: taken })
    }
    this.debt += left
    return from
  }

  private addLot(amount: bigint, bucket: 'plan' | 'add-on', priority: number, expires: number): void {
    const paid = least(this.debt, amount)
    this.debt -= paid
    const remaining = amount - paid
    if (remaining === 0n) return
    this.sequence += 1
    this.lots.push({ bucket, priority, expires, sequence: this.sequence, amount: remaining, remaining })
  }

  private burnDown(): ModelLot[] {
    const rank = ({ bucket }: ModelLot): number => (bucket === 'plan' ? 0 : 1)
    return this.lots
      .filter(({ remaining }) => remaining > 0n)
      .sort(
        (a, b) =>
          rank(a) - rank(b) || a.priority - b.priority || compare(a.expires, b.expires) || a.sequence - b.sequence,
      )
  }

  private hold(id: string): ModelHold {
    const hold = this.holds.get(id)
    if (!hold) throw new RangeError(`no reservation ${id}`)
    return hold
  }
}

function compare(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1
}
