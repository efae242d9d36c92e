import { CreditError } from '@layers/credits'
import { assertTrustedOrigin, withProblems } from '@layers/credits/next'
import { authProblem } from '@/lib/auth-routes'
import { routeOptions } from '@/lib/credits'
import { logError } from '@/lib/log'
import { safeNextPath } from '@/lib/next-path'
import { enabledProviders } from '@/lib/oauth'
import { publicOrigin } from '@/lib/public-origin'
import { sessionClient } from '@/lib/supabase'

/** Sends the browser to a provider's consent page; it comes back at /auth/callback. A plain form posts here. */
export const POST = withProblems(
  async (request) => {
    assertTrustedOrigin(request, routeOptions().allowedOrigins)
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
  },
  { onError: logError },
)
