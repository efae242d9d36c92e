import type { ChargeRecord } from '../store/port.ts'

const made = new WeakSet<object>()

/** Remembers a charge as one of our own making. Frozen, so that it stays what it was found to be; a copy is not it. */
export function priced(charge: ChargeRecord): ChargeRecord {
  made.add(Object.freeze(charge))
  return charge
}

/** Whether a charge was made here, from validated inputs; its figures cannot have changed since. */
export function isPriced(value: unknown): value is ChargeRecord {
  return typeof value === 'object' && value !== null && made.has(value)
}
