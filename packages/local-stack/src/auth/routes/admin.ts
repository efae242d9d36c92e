import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { transaction } from '../../postgres/connect.ts'
import { requireAdmin } from '../caller.ts'
import type { AuthContext, AuthRequest, AuthRoutes, Queryable } from '../context.ts'
import { emailExists } from '../email-change.ts'
import { AuthError } from '../errors.ts'
import { isUuid, metadata, parseBody, validEmail, validPassword } from '../input.ts'
import { hashPassword } from '../passwords.ts'
import {
  confirmEmail,
  emailIdentity,
  findUser,
  findUserByEmail,
  insertIdentity,
  insertUser,
  type UserRow,
  userJson,
} from '../users.ts'
import { mergeMetadata } from './user.ts'

const attributes = z.object({
  id: z.uuid().nullish(),
  email: z.string().nullish(),
  password: z.string().nullish(),
  role: z.string().nullish(),
  email_confirm: z.boolean().nullish(),
  user_metadata: metadata.nullish(),
  app_metadata: metadata.nullish(),
  ban_duration: z.string().nullish(),
})

type Attributes = z.infer<typeof attributes>

/** Users, for the service role. */
export const adminRoutes: AuthRoutes = {
  'GET /admin/users': async (request, context) => {
    await requireAdmin(request)
    return listUsers(request, context)
  },

  'POST /admin/users': async (request, context) => {
    await requireAdmin(request)
    const input = parseBody(attributes, request.body)
    const email = validEmail(input.email ?? undefined)
    const body = await transaction(context.pool, async (tx) => {
      if (await findUserByEmail(tx, email)) throw emailExists()
      const password = input.password
        ? validPassword(input.password, context.config.minPasswordLength)
        : randomBytes(32).toString('hex')
      const id = await insertUser(context, tx, {
        id: input.id ?? undefined,
        email,
        password,
        role: input.role ?? undefined,
        userMetadata: input.user_metadata ?? undefined,
        appMetadata: input.app_metadata ?? undefined,
      })
      await insertIdentity(tx, id, emailIdentity(id, email))
      if (input.email_confirm) await confirmEmail(tx, id)
      if (input.ban_duration) await ban(tx, id, input.ban_duration)
      return json(tx, id)
    })
    return { body }
  },

  'GET /admin/users/:id': async (request, context) => {
    await requireAdmin(request)
    return { body: await userJson(context.pool, await userOfPath(request, context.pool)) }
  },

  'PUT /admin/users/:id': async (request, context) => {
    await requireAdmin(request)
    const input = parseBody(attributes, request.body)
    const body = await transaction(context.pool, async (tx) => {
      const user = await userOfPath(request, tx)
      await updateUser(context, tx, user, input)
      return json(tx, user.id)
    })
    return { body }
  },

  'DELETE /admin/users/:id': async (request, context) => {
    await requireAdmin(request)
    const user = await userOfPath(request, context.pool)
    const soft = request.body.should_soft_delete === true
    await context.pool.query(
      soft
        ? `update auth.users set deleted_at = now(), email = null, phone = null, encrypted_password = '',
             raw_user_meta_data = '{}', raw_app_meta_data = '{}', updated_at = now() where id = $1`
        : 'delete from auth.users where id = $1',
      [user.id],
    )
    if (soft) await context.pool.query('delete from auth.sessions where user_id = $1', [user.id])
    return { body: {} }
  },
}

async function listUsers(request: AuthRequest, context: AuthContext) {
  const perPage = positive(request.query.get('per_page'), 50)
  const page = positive(request.query.get('page'), 1)
  const count = await context.pool.query<{ total: number }>(
    'select count(*)::int as total from auth.users where deleted_at is null',
  )
  const total = count.rows[0]?.total ?? 0
  const rows = await context.pool.query<UserRow>(
    'select * from auth.users where deleted_at is null order by created_at desc, id limit $1 offset $2',
    [perPage, (page - 1) * perPage],
  )
  const last = Math.max(1, Math.ceil(total / perPage))
  const link = (to: number, rel: string) => `</admin/users?page=${to}&per_page=${perPage}>; rel="${rel}"`
  const links = [...(page < last ? [link(page + 1, 'next')] : []), link(last, 'last')]
  const users = await Promise.all(rows.rows.map((row) => userJson(context.pool, row)))
  return {
    headers: { 'x-total-count': String(total), link: links.join(', ') },
    body: { users, aud: 'authenticated' },
  }
}

function positive(value: string | null, fallback: number): number {
  if (value === null || value === '') return fallback
  const number = Number(value)
  if (Number.isInteger(number) && number > 0) return number
  throw new AuthError(400, 'validation_failed', `Bad Pagination Parameters: "${value}"`)
}

async function updateUser(context: AuthContext, tx: Queryable, user: UserRow, input: Attributes): Promise<void> {
  if (input.email) {
    const email = validEmail(input.email)
    const other = await findUserByEmail(tx, email)
    if (other && other.id !== user.id) throw emailExists()
    await tx.query('update auth.users set email = $2, updated_at = now() where id = $1', [user.id, email])
    await tx.query(
      `update auth.identities set identity_data = identity_data || jsonb_build_object('email', $2::text),
         updated_at = now()
         where user_id = $1 and provider = 'email'`,
      [user.id, email],
    )
  }
  if (input.password) {
    const hash = await hashPassword(context, validPassword(input.password, context.config.minPasswordLength))
    await tx.query('update auth.users set encrypted_password = $2, updated_at = now() where id = $1', [user.id, hash])
  }
  if (input.role) await tx.query('update auth.users set role = $2 where id = $1', [user.id, input.role])
  if (input.user_metadata) await mergeMetadata(tx, 'raw_user_meta_data', user.id, input.user_metadata)
  if (input.app_metadata) await mergeMetadata(tx, 'raw_app_meta_data', user.id, input.app_metadata)
  if (input.email_confirm) await confirmEmail(tx, user.id)
  if (input.ban_duration) await ban(tx, user.id, input.ban_duration)
}

/** `none` lifts a ban; otherwise a Go duration such as `24h` or `1h30m`. */
async function ban(tx: Queryable, userId: string, duration: string): Promise<void> {
  if (duration !== 'none' && !/^(\d+(\.\d+)?(h|m|s))+$/.test(duration)) {
    throw new AuthError(
      400,
      'validation_failed',
      `invalid format for ban duration: time: invalid duration "${duration}"`,
    )
  }
  await tx.query(
    "update auth.users set banned_until = case when $2 = 'none' then null else now() + $2::interval end where id = $1",
    [userId, duration === 'none' ? duration : duration.replace(/([hms])/g, '$1 ')],
  )
}

async function userOfPath(request: AuthRequest, db: Queryable): Promise<UserRow> {
  const id = request.params.id ?? ''
  if (!isUuid(id)) throw new AuthError(404, 'validation_failed', 'user_id must be an UUID')
  const user = await findUser(db, id)
  if (!user) throw new AuthError(404, 'user_not_found', 'User not found')
  return user
}

async function json(tx: Queryable, id: string) {
  const row = await findUser(tx, id)
  return row && userJson(tx, row)
}
