import { z } from 'zod'
import { transaction } from '../../postgres/connect.ts'
import { type Caller, requireUser } from '../caller.ts'
import type { AuthContext, AuthRoutes, Queryable } from '../context.ts'
import { requestEmailChange } from '../email-change.ts'
import { AuthError } from '../errors.ts'
import { challengeSchema } from '../flows.ts'
import { metadata, parseBody, validEmail, validPassword } from '../input.ts'
import { checkPassword, hashPassword } from '../passwords.ts'
import { findUser, userJson } from '../users.ts'

const update = challengeSchema.extend({
  email: z.string().nullish(),
  password: z.string().nullish(),
  data: metadata.nullish(),
})

/** The signed-in user. */
export const userRoutes: AuthRoutes = {
  'GET /user': async (request, context) => {
    const { user } = await requireUser(context, request)
    return { body: await userJson(context.pool, user) }
  },

  'PUT /user': async (request, context) => {
    const caller = await requireUser(context, request)
    const { user } = caller
    const input = parseBody(update, request.body)
    const body = await transaction(context.pool, async (tx) => {
      if (input.password) await changePassword(context, tx, caller, input.password)
      if (input.data) await mergeMetadata(tx, 'raw_user_meta_data', user.id, input.data)
      if (input.email && input.email.toLowerCase() !== user.email) {
        await requestEmailChange(context, tx, request, user, validEmail(input.email), input)
      }
      const changed = await findUser(tx, user.id)
      return changed && userJson(tx, changed)
    })
    return { body }
  },

  'POST /logout': async (request, context) => {
    const scope = request.query.get('scope') || 'global'
    const { user, claims } = await requireUser(context, request)
    if (!['global', 'local', 'others'].includes(scope)) {
      throw new AuthError(400, 'validation_failed', `Unsupported logout scope "${scope}"`)
    }
    // The refresh tokens go with their session; access tokens stay valid until they expire.
    await context.pool.query(
      `delete from auth.sessions where user_id = $1
          and case $3::text when 'local' then id = $2::uuid when 'others' then id <> $2::uuid else true end`,
      [user.id, claims.session_id ?? null, scope],
    )
    return { status: 204 }
  },
}

async function changePassword(context: AuthContext, tx: Queryable, caller: Caller, wanted: string): Promise<void> {
  const { user, claims } = caller
  if (user.is_anonymous && !user.email_change) {
    throw new AuthError(
      422,
      'validation_failed',
      'Updating password of an anonymous user without an email or phone is not allowed',
    )
  }
  const password = validPassword(wanted, context.config.minPasswordLength)
  if (await checkPassword(context, password, user.encrypted_password)) {
    throw new AuthError(422, 'same_password', 'New password should be different from the old password.')
  }
  const hash = await hashPassword(context, password)
  await tx.query('update auth.users set encrypted_password = $2, updated_at = now() where id = $1', [user.id, hash])
  // As GoTrue: a changed password ends the other sessions.
  await tx.query('delete from auth.sessions where user_id = $1 and id <> $2', [user.id, claims.session_id])
}

/** Merges metadata as GoTrue does: a member set to null disappears. */
export async function mergeMetadata(
  db: { query(text: string, values: unknown[]): Promise<unknown> },
  column: 'raw_user_meta_data' | 'raw_app_meta_data',
  userId: string,
  data: Record<string, unknown>,
): Promise<void> {
  await db.query(
    `update auth.users set ${column} = (
         select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(coalesce(${column}, '{}') || $2::jsonb)
          where value <> 'null'::jsonb), updated_at = now() where id = $1`,
    [userId, JSON.stringify(data)],
  )
}
