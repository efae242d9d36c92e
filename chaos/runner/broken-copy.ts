import type pg from 'pg'
import { findGuards } from './guards.ts'

/** A deliberate fault of the schema, made in every database that a scenario opens. */
export interface BrokenCopy {
  /** What is wrong with the copy, as a clause: "accounts are read without a lock". */
  name: string
  /** Names of marked guards that the copy lacks; see guards.ts. */
  guards?: readonly string[]
  /** Statements for the superuser. They must not depend on the text of a function. */
  sql?: string
}

/** The fault could not be made: the schema has changed. */
export class CopyNotBroken extends Error {
  override readonly name = 'CopyNotBroken'
}

/** Makes the fault. @throws CopyNotBroken when a guard is not marked, or a statement fails */
export async function breakCopy(admin: pg.Pool, { name, guards = [], sql }: BrokenCopy): Promise<void> {
  try {
    for (const guard of guards) for (const { removal } of findGuards(guard)) await admin.query(removal)
    if (sql !== undefined) await admin.query(sql)
  } catch (cause) {
    throw new CopyNotBroken(`the copy "${name}" cannot be made`, { cause })
  }
}

/** Decides on an account that another call may be changing. */
export const UNLOCKED_ACCOUNTS: BrokenCopy = {
  name: 'accounts and reservations are read without a lock',
  guards: ['lock-account', 'lock-reservation', 'lock-account-of-reservation'],
}
