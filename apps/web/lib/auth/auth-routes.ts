import 'server-only'
import { CreditError } from '@layers/credits'
import { assertTrustedOrigin, readJson, withProblems } from '@layers/credits/http'
import type { AuthError } from '@supabase/supabase-js'
import { z } from 'zod'
import { routeOptions } from '../server/credits'

const credentials = z.strictObject({
  email: z.email('Enter a valid e-mail address').max(254),
  password: z.string().min(1, 'Enter a password').max(1000),
  captchaToken: z.string().min(1).max(4096).optional(),
})

/** What a person signs in with; the token is that of the captcha, where the project asks for one. */
export type Credentials = z.infer<typeof credentials>

/** A route that only a page of this app may call, before there is a session. Errors become problem bodies. */
export function authRoute(handler: (request: Request) => Promise<Response>) {
  return withProblems((request) => {
    assertTrustedOrigin(request, routeOptions.allowedOrigins)
    return handler(request)
  }, routeOptions)
}

/** An {@link authRoute} that takes credentials as JSON. */
export function credentialsRoute(handler: (credentials: Credentials, request: Request) => Promise<Response>) {
  return authRoute(async (request) => handler(await readJson(request, credentials), request))
}

/** Does the refusal tell that an account has this address? Such a sign-up is answered like any other. */
export function isKnownAddress({ code }: AuthError): boolean {
  return code === 'user_already_exists' || code === 'email_exists'
}

/** Refusals of the auth server in words for the person at the keyboard. None tells whether an account exists. */
const MESSAGES: Record<string, string> = {
  invalid_credentials: 'The e-mail address or the password is wrong.',
  email_not_confirmed: 'Confirm your e-mail address first: we sent you a link.',
  signup_disabled: 'New accounts are not open at the moment.',
  email_address_invalid: 'Enter a valid e-mail address.',
  captcha_failed: 'The check that you are human did not work. Try it again.',
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
