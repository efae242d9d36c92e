import { authRoute } from '@/lib/auth/auth-routes'
import { privateJson } from '@/lib/server/private-json'
import { sessionClient } from '@/lib/server/supabase'

/** Ends this session. The cookies go even when the auth server does not answer. */
export const POST = authRoute(async () => {
  const client = await sessionClient()
  await client.auth.signOut({ scope: 'local' })
  return privateJson({})
})
