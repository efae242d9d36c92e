import { PUBLIC_JWKS } from '../../keys.ts'
import type { AuthRoutes } from '../context.ts'

/** What the server is and can do. */
export const infoRoutes: AuthRoutes = {
  'GET /health': async () => ({
    body: { version: 'local', name: 'GoTrue', description: 'Development auth server of the local stack' },
  }),
  'GET /.well-known/jwks.json': async () => ({
    headers: { 'cache-control': 'public, max-age=600' },
    body: PUBLIC_JWKS,
  }),
  'GET /settings': async (_request, { config }) => ({
    body: {
      external: { anonymous_users: config.anonymousSignIns, email: true, phone: false, google: true, github: true },
      disable_signup: false,
      mailer_autoconfirm: !config.confirmEmail,
      phone_autoconfirm: false,
      sms_provider: '',
      saml_enabled: false,
      passkeys_enabled: false,
    },
  }),
}
