import type { AuthContext } from './context.ts'

/** bcrypt, in the form that GoTrue stores. */
export async function hashPassword(context: AuthContext, password: string): Promise<string> {
  const { rows } = await context.admin.query<{ hash: string }>(
    `select extensions.crypt($1, extensions.gen_salt('bf', $2)) as hash`,
    [password, context.config.passwordCost],
  )
  return rows[0]?.hash ?? ''
}

/** Whether the password belongs to the hash. A user without a password has none that fits. */
export async function checkPassword(context: AuthContext, password: string, hash: string | null): Promise<boolean> {
  if (!hash) return false
  const { rows } = await context.admin.query<{ ok: boolean }>('select extensions.crypt($1, $2) = $2 as ok', [
    password,
    hash,
  ])
  return rows[0]?.ok === true
}
