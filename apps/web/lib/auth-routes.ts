import 'server-only'
import { CreditError } from '@layers/credits'
import { assertTrustedOrigin, readJson, withProblems } from '@layers/credits/next'
import type { AuthError } from '@supabase/supabase-js'
import { z } from 'zod'
import { routeOptions } from './credits'
import { logError } from './log'

const credentials = z.strictObject({
  email: z.email('Enter a valid e-mail address').max(254),
  password: z.string().min(1, 'Enter a password').max(1000),
})

/** What a person signs in with. */
export type Credentials = z.infer<typeof credentials>

/** A sign-in route: JSON credentials from a page of this app in, problem bodies out. */
export function credentialsRoute(handler: (credentials: Credentials, request: Request) => Promise<Response>) {
  return withProblems(
    async (request) => {
      assertTrustedOrigin(request, routeOptions().allowedOrigins)
      return handler(await readJson(request, credentials), request)
    },
    { onError: logError },
  )
}

/** The auth server's refusals in words for the person at the keyboard; nothing tells whether an account exists. */
const MESSAGES: Record<string, string> = {
  invalid_credentials: 'The e-mail address or the password is wrong.',
  user_already_exists: 'You cannot sign up with this e-mail address. Do you have an account already?',
  email_exists: 'You cannot sign up with this e-mail address. Do you have an account already?',
  email_not_confirmed: 'Confirm your e-mail address first: we sent you a link.',
  signup_disabled: 'New accounts are not open at the moment.',
  email_address_invalid: 'Enter a valid e-mail address.',
}

/** The problem behind an error of the auth server. */
export function authProblem(error: AuthError): CreditError {
  const { code = '', status = 0 } = error
  if (code === 'invalid_credentials' || code === 'email_not_confirmed') {
    return new CreditError({ code: 'UNAUTHENTICATED', message: MESSAGES[code] ?? error.message })
  }
  if (code === 'weak_password') return new CreditError({ code: 'INVALID_INPUT', message: error.message })
  const known = MESSAGES[code]
  if (known) return new CreditError({ code: 'INVALID_INPUT', message: known })
  if (status === 429) return new CreditError({ code: 'LIMIT_EXCEEDED', message: 'Too many attempts. Wait a minute.' })
  if (status >= 400 && status < 500)
    return new CreditError({ code: 'INVALID_INPUT', message: 'This did not work. Check what you entered.' })
  return new CreditError({ code: 'STORE_UNAVAILABLE', message: 'The auth server cannot be reached', cause: error })
}
