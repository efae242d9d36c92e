import { createClient } from '@supabase/supabase-js'
import type { DemoStack } from './stack.ts'

/** The two ready accounts. Their passwords are public: they exist on the local stack only. */
export const ACCOUNTS = {
  user: { email: 'user@demo.test', password: 'demo-user-1' },
  admin: { email: 'admin@demo.test', password: 'demo-admin-1' },
} as const

/** Makes both accounts unless they are there. Returns their ids. */
export async function createAccounts(stack: DemoStack): Promise<{ userId: string; adminId: string }> {
  const client = createClient(stack.url, stack.secretKey, { auth: { persistSession: false, autoRefreshToken: false } })
  const ensure = async ({ email, password }: { email: string; password: string }) => {
    const created = await client.auth.admin.createUser({ email, password, email_confirm: true })
    if (created.data.user) return created.data.user.id
    if (created.error?.code !== 'email_exists') throw new Error(`Could not create ${email}: ${created.error?.message}`)
    const { data, error } = await client.auth.admin.listUsers({ perPage: 1000 })
    const found = data.users.find((user) => user.email === email)
    if (!found) throw new Error(`Could not find ${email}: ${error?.message ?? 'not in the list of users'}`)
    return found.id
  }
  const userId = await ensure(ACCOUNTS.user)
  const adminId = await ensure(ACCOUNTS.admin)
  const { error } = await client.from('profiles').update({ role: 'admin' }).eq('user_id', adminId)
  if (error) throw new Error(`Could not make ${ACCOUNTS.admin.email} an admin: ${error.message}`)
  return { userId, adminId }
}
