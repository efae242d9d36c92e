import type { AuthContext, Queryable } from './context.ts'
import { AuthError } from './errors.ts'
import {
  confirmEmail,
  findUser,
  findUserByEmail,
  insertIdentity,
  insertUser,
  type NewIdentity,
  refreshProviders,
} from './users.ts'

/** What a provider vouches for. */
export interface SocialIdentity extends NewIdentity {
  email: string
}

/**
 * Finds or creates the user that an identity belongs to. A verified address leads to the account that has it; what
 * an unconfirmed account with that address held is dropped, because another user may have created it in advance.
 *
 * @returns the id of the user
 */
export async function signInWithIdentity(
  context: AuthContext,
  tx: Queryable,
  identity: SocialIdentity,
): Promise<string> {
  const owner = await ownerOf(tx, identity)
  if (owner) {
    await tx.query(
      'update auth.identities set identity_data = $3, last_sign_in_at = now(), updated_at = now() where provider = $1 and provider_id = $2',
      [identity.provider, identity.providerId, identity.data],
    )
    return owner
  }
  const known = await findUserByEmail(tx, identity.email)
  if (!known) return createUser(context, tx, identity)
  if (!known.email_confirmed_at) {
    await tx.query('delete from auth.identities where user_id = $1', [known.id])
    await tx.query(`update auth.users set encrypted_password = '', raw_user_meta_data = '{}' where id = $1`, [known.id])
  }
  await insertIdentity(tx, known.id, identity)
  await confirmEmail(tx, known.id)
  return known.id
}

async function createUser(context: AuthContext, tx: Queryable, identity: SocialIdentity): Promise<string> {
  const { email, provider, data } = identity
  const appMetadata = { provider, providers: [provider] }
  const id = await insertUser(context, tx, { email, userMetadata: data, appMetadata })
  await insertIdentity(tx, id, identity)
  await confirmEmail(tx, id)
  return id
}

/**
 * Adds an identity to a user who is signed in. An anonymous user becomes a permanent one.
 *
 * @throws AuthError `identity_already_exists` when it belongs to another person
 */
export async function linkIdentity(tx: Queryable, userId: string, identity: SocialIdentity): Promise<string> {
  const owner = await ownerOf(tx, identity)
  if (owner) {
    const whose = owner === userId ? 'already linked' : 'already linked to another user'
    throw new AuthError(422, 'identity_already_exists', `Identity is ${whose}`)
  }
  await insertIdentity(tx, userId, identity)
  const user = await findUser(tx, userId)
  if (user?.email === null) {
    if (await findUserByEmail(tx, identity.email)) {
      throw new AuthError(422, 'email_exists', 'A user with this email address has already been registered')
    }
    await tx.query('update auth.users set email = $2, raw_user_meta_data = raw_user_meta_data || $3 where id = $1', [
      userId,
      identity.email,
      identity.data,
    ])
    await confirmEmail(tx, userId)
  }
  return userId
}

/**
 * Removes an identity of a user.
 *
 * @throws AuthError `identity_not_found`, `single_identity_not_deletable`
 */
export async function unlinkIdentity(tx: Queryable, userId: string, identityId: string): Promise<void> {
  const { rows } = await tx.query<{ id: string }>('select id from auth.identities where user_id = $1 for update', [
    userId,
  ])
  if (!rows.some((row) => row.id === identityId)) {
    throw new AuthError(422, 'identity_not_found', "Identity doesn't exist")
  }
  if (rows.length < 2) {
    throw new AuthError(422, 'single_identity_not_deletable', 'User must have at least 1 identity after unlinking')
  }
  await tx.query('delete from auth.identities where id = $1', [identityId])
  await refreshProviders(tx, userId)
}

async function ownerOf(tx: Queryable, identity: SocialIdentity): Promise<string | undefined> {
  const found = await tx.query<{ user_id: string }>(
    'select user_id from auth.identities where provider = $1 and provider_id = $2',
    [identity.provider, identity.providerId],
  )
  return found.rows[0]?.user_id
}
