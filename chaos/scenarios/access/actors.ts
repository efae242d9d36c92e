import { createHmac } from 'node:crypto'
import type { Stack } from '@layers/local-stack'
import type { Arena } from '../../runner/scenario.ts'
import { type Field, signUp } from '../../runner/test-database.ts'
import { chargeOf } from '../../workload/operations.ts'
import type { Actor } from './database-objects.ts'

/** How an actor presents itself, in SQL and over HTTP. */
export interface Presence {
  actor: Actor
  /** Database role and claims, as PostgREST would set them. */
  role: string
  claims: Record<string, unknown>
  token: string | undefined
  userId: string | undefined
}

/** Two customers with a past, an admin, and the rest of the cast. */
export async function castOf(arena: Arena, field: Field): Promise<Presence[]> {
  const store = field.store(2)
  const [a, b, admin, boaster] = [
    await field.user('100'),
    await field.user('100'),
    await field.user('100'),
    await field.user('100'),
  ]
  const anonymous = await signUp(field.admin, arena.random.uuid(), { anonymous: true })
  for (const userId of [a, b]) {
    const reservationId = arena.random.uuid()
    await store.reserve({ reservationId, userId, amount: '5', ttlSeconds: 300 })
    await store.settle({ reservationId, charge: chargeOf('3') })
    await store.reserve({ reservationId: arena.random.uuid(), userId, amount: '1', ttlSeconds: 300 })
  }
  await field.pool(1).query('select public.credits_set_role($1, $2, null)', [admin, 'admin'])
  await field.admin.query(`update auth.users set raw_user_meta_data = '{"role": "admin"}' where id = $1`, [boaster])
  const user = (actor: Actor, userId: string, more: Record<string, unknown> = {}): Presence => {
    const claims = { sub: userId, role: 'authenticated', aud: 'authenticated', ...more }
    return { actor, role: 'authenticated', claims, token: sign(arena.stack, claims), userId }
  }
  const plain = (actor: Actor, role: string, token: string | undefined): Presence => {
    return { actor, role, claims: { role }, token, userId: undefined }
  }
  return [
    plain('no token', 'anon', undefined),
    plain('anon', 'anon', arena.stack.anonKey),
    user('user A', a),
    user('user B', b),
    user('anonymous sign-in', anonymous, { is_anonymous: true }),
    user('user who says admin', boaster, { user_metadata: { role: 'admin' }, app_metadata: { role: 'admin' } }),
    user('admin', admin),
    plain('service_role', 'service_role', arena.stack.serviceRoleKey),
    plain('authenticator', 'authenticator', sign(arena.stack, { role: 'authenticator' })),
  ]
}

/** An access token of the local auth server's legacy secret. */
export function sign({ jwtSecret }: Stack, claims: Record<string, unknown>, life = 3600): string {
  const now = Math.floor(Date.now() / 1000)
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const body = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ iat: now, exp: now + life, ...claims })}`
  return `${body}.${createHmac('sha256', jwtSecret).update(body).digest('base64url')}`
}
