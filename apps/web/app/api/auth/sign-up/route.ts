import { authProblem, credentialsRoute, isKnownAddress } from '@/lib/auth/auth-routes'
import { privateJson } from '@/lib/server/private-json'
import { publicOrigin } from '@/lib/server/public-origin'
import { sessionClient } from '@/lib/server/supabase'

/**
 * Signs up; `confirmationNeeded` when the project first wants the e-mail address confirmed. An address that has an
 * account gets that answer too, so the route does not tell who has one.
 */
export const POST = credentialsRoute(async ({ email, password, captchaToken }, request) => {
  const client = await sessionClient()
  const { data, error } = await client.auth.signUp({
    email,
    password,
    options: { emailRedirectTo: `${publicOrigin(request)}/auth/callback`, ...(captchaToken && { captchaToken }) },
  })
  if (error && !isKnownAddress(error)) throw authProblem(error)
  return privateJson({ confirmationNeeded: data.session === null })
})
