import { transaction } from '../../postgres/connect.ts'
import { requireUser } from '../caller.ts'
import type { AuthContext, AuthRoutes } from '../context.ts'
import { AuthError } from '../errors.ts'
import { isUuid } from '../input.ts'
import { unlinkIdentity } from '../social.ts'
import { beginLinking } from './oauth.ts'

/** Adding and removing ways to sign in. */
export const identityRoutes: AuthRoutes = {
  'GET /user/identities/authorize': async (request, context) => {
    requireManualLinking(context)
    const { user } = await requireUser(context, request)
    return beginLinking(request, context, user.id)
  },

  'DELETE /user/identities/:id': async (request, context) => {
    requireManualLinking(context)
    const { user } = await requireUser(context, request)
    const id = request.params.id ?? ''
    if (!isUuid(id)) throw new AuthError(404, 'validation_failed', 'identity_id must be an UUID')
    await transaction(context.pool, (tx) => unlinkIdentity(tx, user.id, id))
    return { body: {} }
  },
}

function requireManualLinking(context: AuthContext): void {
  if (!context.config.manualLinking) throw new AuthError(404, 'manual_linking_disabled', 'Manual linking is disabled')
}
