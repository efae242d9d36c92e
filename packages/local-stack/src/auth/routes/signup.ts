import { z } from 'zod'
import { transaction } from '../../postgres/connect.ts'
import type { AuthRoutes } from '../context.ts'
import { AuthError } from '../errors.ts'
import { metadata, parseBody, validEmail, validPassword } from '../input.ts'
import { openSession } from '../sessions.ts'
import {
  audit,
  confirmEmail,
  emailIdentity,
  findUserByEmail,
  insertIdentity,
  insertUser,
  userExists,
} from '../users.ts'

const signup = z.object({
  email: z.string().optional(),
  phone: z.string().optional(),
  password: z.string().optional(),
  data: metadata.nullish(),
})

/** Creating an account. */
export const signupRoutes: AuthRoutes = {
  'POST /signup': async (request, context) => {
    const input = parseBody(signup, request.body)
    if (input.phone) throw new AuthError(400, 'phone_provider_disabled', 'Phone signups are disabled')
    if (!input.email) throw new AuthError(422, 'anonymous_provider_disabled', 'Anonymous sign-ins are disabled')
    const password = validPassword(input.password, context.config.minPasswordLength)
    const email = validEmail(input.email)
    const body = await transaction(context.pool, async (tx) => {
      if (await findUserByEmail(tx, email)) throw userExists()
      const id = await insertUser(context, tx, { email, password, userMetadata: signupMetadata(input.data) })
      await insertIdentity(tx, id, emailIdentity(id, email))
      await audit(tx, 'user_signedup', { id, email })
      await confirmEmail(tx, id)
      return openSession(context, tx, request, id, 'password')
    })
    return { body }
  },
}

function signupMetadata(data: Record<string, unknown> | null | undefined): Record<string, unknown> {
  return data ?? {}
}
