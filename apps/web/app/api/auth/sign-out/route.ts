import { assertTrustedOrigin, withProblems } from '@layers/credits/next'
import { routeOptions } from '@/lib/credits'
import { logError } from '@/lib/log'
import { sessionClient } from '@/lib/supabase'

/** Ends this session. The cookies go even when the auth server cannot be told. */
export const POST = withProblems(
  async (request) => {
    assertTrustedOrigin(request, routeOptions().allowedOrigins)
    const client = await sessionClient()
    await client.auth.signOut({ scope: 'local' })
    return Response.json({}, { headers: { 'cache-control': 'no-store' } })
  },
  { onError: logError },
)
