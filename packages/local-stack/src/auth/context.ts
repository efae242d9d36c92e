import type { IncomingHttpHeaders } from 'node:http'
import type pg from 'pg'
import type { Outbox } from './mail/outbox.ts'
import type { MailKind, MailTemplate } from './mail/templates.ts'

/** What can be set about the auth server. */
export interface AuthConfig {
  /** Base URL of the auth server, `<url>/auth/v1`; the `iss` of every access token. */
  issuer: string
  /** Where a link leads when the caller names no address, or one that is not allowed. */
  siteUrl: string
  /** Further origins that links may lead to. */
  redirectOrigins: readonly string[]
  /** Life of an access token. */
  jwtExpirySeconds: number
  minPasswordLength: number
  /** False: a new user is signed in at once. True: only after following the link in an e-mail. */
  confirmEmail: boolean
  /** A changed address is confirmed from both mailboxes, the old and the new. */
  doubleConfirmChanges: boolean
  /** Life of links and codes. */
  otpExpirySeconds: number
  /** Pause between two e-mails of the same kind to the same user. */
  emailIntervalSeconds: number
  /** Visitors may sign in without saying who they are. */
  anonymousSignIns: boolean
  /** Users may add and remove identities themselves. */
  manualLinking: boolean
  /** The app's own e-mails. */
  templates: Partial<Record<MailKind, MailTemplate>>
  /** For how long a refresh token may be used again, for clients that refresh twice at once. */
  refreshReuseSeconds: number
  /** bcrypt cost. GoTrue uses 10. */
  passwordCost: number
}

/** What every route works with. */
export interface AuthContext {
  readonly config: AuthConfig
  /** Connected as `supabase_auth_admin`, as GoTrue is. */
  readonly pool: pg.Pool
  /** Connected as superuser: `supabase_auth_admin` may not use pgcrypto, whose bcrypt checks passwords here. */
  readonly admin: pg.Pool
  /** Where e-mails go. */
  readonly outbox: Outbox
  /** Receives what goes wrong inside. */
  readonly log: (line: string) => void
}

/** A request after routing. */
export interface AuthRequest {
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly body: Record<string, unknown>
  readonly params: Record<string, string>
  readonly ip: string
}

/** The answer of a route. A `body` is sent as JSON, `html` as a page. */
export interface AuthReply {
  status?: number
  headers?: Record<string, string>
  body?: unknown
  html?: string
}

/** A route: its method and path, `:name` standing for one path segment. */
export type AuthRoutes = Record<string, (request: AuthRequest, context: AuthContext) => Promise<AuthReply>>

/** A pool or a transaction. */
export type Queryable = Pick<pg.Pool, 'query'>

/** GoTrue writes this into the `instance_id` columns. */
export const NIL_UUID = '00000000-0000-0000-0000-000000000000'
