import { authProblem, credentialsRoute } from '@/lib/auth-routes'
import { publicOrigin } from '@/lib/public-origin'
import { sessionClient } from '@/lib/supabase'

/** Signs up; `confirmationNeeded` when the project first wants the e-mail address confirmed. */
export const POST = credentialsRoute(async ({ email, password }, request) => {
  const client = await sessionClient()
  const { data, error } = await client.auth.signUp({
    email,
    password,
    options: { emailRedirectTo: `${publicOrigin(request)}/auth/callback` },
  })
  if (error) throw authProblem(error)
  return Response.json({ confirmationNeeded: data.session === null }, { headers: { 'cache-control': 'no-store' } })
})
