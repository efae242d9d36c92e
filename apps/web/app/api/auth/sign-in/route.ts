import { authProblem, credentialsRoute } from '@/lib/auth-routes'
import { sessionClient } from '@/lib/supabase'

/** Signs in with e-mail and password; the session arrives as cookies. */
export const POST = credentialsRoute(async (credentials) => {
  const client = await sessionClient()
  const { error } = await client.auth.signInWithPassword(credentials)
  if (error) throw authProblem(error)
  return Response.json({}, { headers: { 'cache-control': 'no-store' } })
})
