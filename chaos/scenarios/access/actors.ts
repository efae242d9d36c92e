import { createHmac } from 'node:crypto'
import type { Stack } from '@layers/local-stack'
import type { ScenarioContext } from '../../runner/scenario.ts'
import { signUp, type TestDatabase } from '../../runner/test-database.ts'
import { chargeOf } from '../../workload/operations.ts'
import type { ActorName } from './database-objects.ts'

/** A caller, in SQL and over HTTP. */
export interface Actor {
  name: ActorName
  /** Database role and claims, as PostgREST would set them. */
  role: string
  claims: Record<string, unknown>
  token: string | undefined
  userId: string | undefined
}

/** Two users with rows of every kind, an admin, and every other kind of caller. */
export async function createActors(context: ScenarioContext, database: TestDatabase): Promise<Actor[]> {
  const store = database.store(2)
  const [a = '', b = '', admin = '', otherAdmin = '', claimant = ''] = await database.users(5, '100')
  const anonymous = await signUp(database.admin, context.random.uuid(), { anonymous: true })
  for (const userId of [a, b]) {
    const reservation = { userId, reservationId: context.random.uuid() }
    await store.reserve({ ...reservation, amount: '5', ttlSeconds: 300 })
    await store.settle({ ...reservation, charge: chargeOf('3') })
    await store.reserve({ userId, reservationId: context.random.uuid(), amount: '1', ttlSeconds: 300 })
  }
  const setAdmin = 'select public.credits_set_admin(id, true) from unnest($1::uuid[]) id'
  await database.pool(1).query(setAdmin, [[admin, otherAdmin]])
  await database.admin.query(`update auth.users set raw_user_meta_data = '{"role": "admin"}' where id = $1`, [claimant])
  const user = (name: ActorName, userId: string, more: Record<string, unknown> = {}): Actor => {
    const claims = { sub: userId, role: 'authenticated', aud: 'authenticated', ...more }
    return { name, role: 'authenticated', claims, token: sign(context.stack, claims), userId }
  }
  const role = (name: ActorName, role: string, token: string | undefined): Actor => {
    return { name, role, claims: { role }, token, userId: undefined }
  }
  const adminClaims = { user_metadata: { role: 'admin' }, app_metadata: { role: 'admin' } }
  return [
    role('no token', 'anon', undefined),
    role('anon', 'anon', context.stack.anonKey),
    user('user A', a),
    user('user B', b),
    user('anonymous sign-in', anonymous, { is_anonymous: true }),
    user('user who claims to be admin', claimant, adminClaims),
    user('admin', admin),
    role('service_role', 'service_role', context.stack.serviceRoleKey),
    role('authenticator', 'authenticator', sign(context.stack, { role: 'authenticator' })),
  ]
}

/** An access token, signed with the shared secret of the local auth server. */
export function sign({ jwtSecret }: Stack, claims: Record<string, unknown>, life = 3600): string {
  const now = Math.floor(Date.now() / 1000)
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const body = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ iat: now, exp: now + life, ...claims })}`
  return `${body}.${createHmac('sha256', jwtSecret).update(body).digest('base64url')}`
}
