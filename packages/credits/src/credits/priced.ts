import { slot } from '../core/slot.ts'
import type { ChargeRecord } from '../store/port.ts'

const made = slot<true>()

/** Remembers a charge as one of our own making. Frozen, so that it stays what it was found to be; a copy is not it. */
export function priced(charge: ChargeRecord): ChargeRecord {
  made.set(charge, true)
  return Object.freeze(charge)
}

/** Whether a charge was made here, from validated inputs; its figures cannot have changed since. */
export function isPriced(value: unknown): value is ChargeRecord {
  return typeof value === 'object' && value !== null && made.get(value) === true
}
