import type { Sabotage } from './scenario.ts'

/** The classic: what is read may be old by the time it is written. */
export const UNLOCKED_ACCOUNTS: Sabotage = {
  name: 'accounts are read without a lock',
  edits: ['credits_private.lock_account', 'credits_private.lock_reservation'].map((name) => ({
    function: name,
    from: /for update/i,
    to: '',
  })),
}

/** A function of ours without a piece of its text, or with another in its place. */
export function altered(name: string, target: string, from: string | RegExp, to = ''): Sabotage {
  return { name, edits: [{ function: target, from, to }] }
}
