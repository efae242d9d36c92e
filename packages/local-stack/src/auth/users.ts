import { randomUUID } from 'node:crypto'
import { messageOf } from '../errors.ts'
import { type AuthContext, NIL_UUID, type Queryable } from './context.ts'
import { AuthError } from './errors.ts'
import { hashPassword } from './passwords.ts'

/** A row of `auth.users`, as far as it is used. */
export interface UserRow {
  id: string
  aud: string
  role: string
  email: string | null
  phone: string | null
  encrypted_password: string | null
  email_confirmed_at: Date | null
  phone_confirmed_at: Date | null
  invited_at: Date | null
  confirmation_sent_at: Date | null
  confirmed_at: Date | null
  recovery_sent_at: Date | null
  email_change: string | null
  email_change_sent_at: Date | null
  email_change_confirm_status: number
  reauthentication_token: string | null
  reauthentication_sent_at: Date | null
  last_sign_in_at: Date | null
  raw_app_meta_data: Record<string, unknown> | null
  raw_user_meta_data: Record<string, unknown> | null
  banned_until: Date | null
  created_at: Date
  updated_at: Date
  deleted_at: Date | null
  is_anonymous: boolean
}

/** A user as JSON. */
export type UserJson = Record<string, unknown> & { id: string; aud: string; role: string; email: string; phone: string }

interface IdentityRow {
  id: string
  provider_id: string
  user_id: string
  identity_data: Record<string, unknown>
  provider: string
  last_sign_in_at: Date | null
  created_at: Date
  updated_at: Date
  email: string | null
}

/** The row of a user, or undefined. */
export async function findUser(db: Queryable, id: string): Promise<UserRow | undefined> {
  return (await db.query<UserRow>('select * from auth.users where id = $1', [id])).rows[0]
}

/** The row of a user who must exist: just inserted, or locked by the caller. */
export async function requireUserRow(db: Queryable, id: string): Promise<UserRow> {
  const row = await findUser(db, id)
  if (!row) throw new AuthError(404, 'user_not_found', 'User not found')
  return row
}

/** The row of the user with this address, or undefined. */
export async function findUserByEmail(db: Queryable, email: string): Promise<UserRow | undefined> {
  const query = 'select * from auth.users where email = $1 and not is_sso_user and deleted_at is null'
  return (await db.query<UserRow>(query, [email])).rows[0]
}

/** A user with their identities, in GoTrue's shape. */
export async function userJson(db: Queryable, user: UserRow): Promise<UserJson> {
  const identities = await db.query<IdentityRow>(
    'select * from auth.identities where user_id = $1 order by created_at',
    [user.id],
  )
  return {
    id: user.id,
    aud: user.aud,
    role: user.role,
    email: user.email ?? '',
    phone: user.phone ?? '',
    ...present({
      email_confirmed_at: user.email_confirmed_at,
      phone_confirmed_at: user.phone_confirmed_at,
      invited_at: user.invited_at,
      confirmation_sent_at: user.confirmation_sent_at,
      confirmed_at: user.confirmed_at,
      recovery_sent_at: user.recovery_sent_at,
      new_email: user.email_change || null,
      email_change_sent_at: user.email_change_sent_at,
      reauthentication_sent_at: user.reauthentication_sent_at,
      last_sign_in_at: user.last_sign_in_at,
    }),
    app_metadata: user.raw_app_meta_data ?? {},
    user_metadata: user.raw_user_meta_data ?? {},
    identities: identities.rows.map(identityJson),
    created_at: user.created_at,
    updated_at: user.updated_at,
    ...present({ banned_until: user.banned_until, deleted_at: user.deleted_at }),
    is_anonymous: user.is_anonymous,
  }
}

function identityJson(row: IdentityRow): Record<string, unknown> {
  const { id, provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at, email } = row
  const base = { identity_id: id, id: provider_id, user_id, identity_data, provider }
  return { ...base, last_sign_in_at, created_at, updated_at, ...present({ email }) }
}

function present(members: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null && value !== undefined))
}

/** What a new user starts with. */
export interface NewUser {
  id?: string | undefined
  /** Absent for anonymous users. */
  email?: string | undefined
  password?: string | undefined
  userMetadata?: Record<string, unknown> | undefined
  appMetadata?: Record<string, unknown> | undefined
  role?: string | undefined
}

/**
 * Inserts a user in the order that GoTrue does: at the time of an AFTER INSERT trigger the role is still empty and
 * the address not confirmed, which triggers on `auth.users` can depend on.
 *
 * @throws AuthError `user_already_exists`; `unexpected_failure` when a trigger of the app fails
 */
export async function insertUser(context: AuthContext, tx: Queryable, user: NewUser): Promise<string> {
  const id = user.id ?? randomUUID()
  const password = user.password ? await hashPassword(context, user.password) : ''
  const app = { ...(user.email ? { provider: 'email', providers: ['email'] } : {}), ...user.appMetadata }
  try {
    await tx.query(
      `insert into auth.users (instance_id, id, aud, role, email, encrypted_password, confirmation_token,
         recovery_token, email_change_token_new, email_change, raw_app_meta_data, raw_user_meta_data, is_anonymous,
         created_at, updated_at)
       values ($1, $2, 'authenticated', '', $3, $4, '', '', '', '', $5, $6, $7, now(), now())`,
      [NIL_UUID, id, user.email ?? null, password, app, user.userMetadata ?? {}, user.email === undefined],
    )
  } catch (error) {
    throw insertError(context, error)
  }
  await tx.query('update auth.users set role = $2 where id = $1', [id, user.role || 'authenticated'])
  return id
}

function insertError(context: AuthContext, error: unknown): AuthError {
  const constraint = (error as { constraint?: string }).constraint
  if (constraint === 'users_email_partial_key') return userExists()
  context.log(`saving a new user failed: ${messageOf(error)}`)
  return new AuthError(500, 'unexpected_failure', 'Database error saving new user')
}

/** The refusal of a sign-up with an address that is taken. */
export function userExists(): AuthError {
  return new AuthError(422, 'user_already_exists', 'User already registered')
}

/** What a provider says about a person. */
export interface NewIdentity {
  provider: string
  /** The person's id at the provider; for e-mail it is the user's own id. */
  providerId: string
  data: Record<string, unknown>
}

/** Adds an identity and lists its provider in the user's app metadata. */
export async function insertIdentity(tx: Queryable, userId: string, identity: NewIdentity): Promise<void> {
  await tx.query(
    `insert into auth.identities
       (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
     values ($1, $2, $3, $4, now(), now(), now())`,
    [identity.providerId, userId, identity.data, identity.provider],
  )
  await refreshProviders(tx, userId)
}

/** The identity of an e-mail address. */
export function emailIdentity(userId: string, email: string, verified = false): NewIdentity {
  const data = { sub: userId, email, email_verified: verified, phone_verified: false }
  return { provider: 'email', providerId: userId, data }
}

/** Brings `provider` and `providers` of the app metadata in line with the identities. */
export async function refreshProviders(tx: Queryable, userId: string): Promise<void> {
  await tx.query(
    `update auth.users u set raw_app_meta_data = coalesce(raw_app_meta_data, '{}') || jsonb_build_object(
         'provider', coalesce(
           (select i.provider from auth.identities i where i.user_id = u.id
              order by i.created_at, i.provider limit 1),
           'email'),
         'providers', (select coalesce(jsonb_agg(p.provider order by p.first), '[]') from
           (select i.provider, min(i.created_at) as first from auth.identities i
              where i.user_id = u.id group by i.provider) p))
       where u.id = $1`,
    [userId],
  )
}

/** Marks the address as confirmed. */
export async function confirmEmail(tx: Queryable, userId: string): Promise<void> {
  await tx.query(
    `update auth.users set confirmation_token = '', email_confirmed_at = coalesce(email_confirmed_at, now()),
       raw_user_meta_data = coalesce(raw_user_meta_data, '{}') || '{"email_verified": true}', is_anonymous = false,
       updated_at = now() where id = $1`,
    [userId],
  )
  await tx.query(
    `update auth.identities set identity_data = identity_data || '{"email_verified": true}', updated_at = now()
       where user_id = $1 and provider = 'email'`,
    [userId],
  )
}

/** Writes the audit log that GoTrue keeps. */
export async function audit(tx: Queryable, action: string, user: { id: string; email?: string | null }): Promise<void> {
  const payload = { action, actor_id: user.id, actor_username: user.email ?? '', log_type: 'account' }
  await tx.query(
    `insert into auth.audit_log_entries (instance_id, id, payload, created_at, ip_address)
     values ($1, $2, $3, now(), '127.0.0.1')`,
    [NIL_UUID, randomUUID(), payload],
  )
}
