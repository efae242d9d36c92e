import { z } from 'zod'
import { readEnv } from '../server/env'

const provider = z.enum(['google', 'github'])

/** A sign-in provider besides e-mail. */
export type OAuthProvider = z.infer<typeof provider>

/** The providers whose variables are set; the others have no button and no route. */
export function enabledProviders(): OAuthProvider[] {
  const env = readEnv()
  return provider.options.filter(
    (name) => env[`SUPABASE_AUTH_EXTERNAL_${name === 'google' ? 'GOOGLE' : 'GITHUB'}_CLIENT_ID`],
  )
}
