import { randomUUID } from 'node:crypto'
import type { MailKind } from './templates.ts'

/** An e-mail that would have been sent. */
export interface Mail {
  id: string
  sentAt: string
  to: string
  kind: MailKind
  subject: string
  html: string
  /** What the link in it leads to. */
  link: string
  /** The six digits, for a form. */
  otp: string
  /** For `verifyOtp({ token_hash })`. */
  tokenHash: string
}

/** Catches e-mails: nothing leaves the machine. */
export interface Outbox {
  send(mail: Omit<Mail, 'id' | 'sentAt'>): void
  /** Newest first; `to` narrows to one address. */
  list(to?: string): Mail[]
  find(id: string): Mail | undefined
  clear(): void
}

const KEPT = 500

/** An empty outbox. */
export function createOutbox(): Outbox {
  let mails: Mail[] = []
  return {
    send(mail) {
      mails = [{ id: randomUUID(), sentAt: new Date().toISOString(), ...mail }, ...mails].slice(0, KEPT)
    },
    list: (to) => (to === undefined ? mails : mails.filter((mail) => mail.to === to.toLowerCase())),
    find: (id) => mails.find((mail) => mail.id === id),
    clear() {
      mails = []
    },
  }
}
