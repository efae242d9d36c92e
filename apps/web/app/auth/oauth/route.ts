import { CreditError } from '@layers/credits'
import { authProblem, authRoute } from '@/lib/auth/auth-routes'
import { safeNextPath } from '@/lib/auth/next-path'
import { enabledProviders } from '@/lib/auth/oauth'
import { publicOrigin } from '@/lib/server/public-origin'
import { sessionClient } from '@/lib/server/supabase'

/** Sends the browser to a provider's consent page; it comes back at /auth/callback. A plain form posts here. */
export const POST = authRoute(async (request) => {
  const form = await request.formData()
  const provider = enabledProviders().find((name) => name === form.get('provider'))
  if (!provider) throw new CreditError({ code: 'NOT_FOUND', message: 'This sign-in provider is not enabled' })
  const next = encodeURIComponent(safeNextPath(form.get('next')))
  const client = await sessionClient()
  const { data, error } = await client.auth.signInWithOAuth({
    provider,
    options: { redirectTo: `${publicOrigin(request)}/auth/callback?next=${next}`, skipBrowserRedirect: true },
  })
  if (error) throw authProblem(error)
  return new Response(null, { status: 303, headers: { location: data.url, 'cache-control': 'no-store' } })
})
