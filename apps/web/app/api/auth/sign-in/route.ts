import { authProblem, credentialsRoute } from '@/lib/auth/auth-routes'
import { privateJson } from '@/lib/server/private-json'
import { sessionClient } from '@/lib/server/supabase'

/** Signs in with e-mail and password; the session arrives as cookies. */
export const POST = credentialsRoute(async ({ email, password, captchaToken }) => {
  const client = await sessionClient()
  const { error } = await client.auth.signInWithPassword({
    email,
    password,
    options: { ...(captchaToken && { captchaToken }) },
  })
  if (error) throw authProblem(error)
  return privateJson({})
})
