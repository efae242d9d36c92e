import { defineCommand } from 'citty'
import type { StackInfo } from '../state.ts'
import { guarded, layoutFor, print, requireRunning, WHICH } from './shared.ts'

/** `stack env` */
export const env = defineCommand({
  meta: { name: 'env', description: 'Print the variables of the web app, ready for .env.local' },
  args: WHICH,
  run: ({ args }) => guarded(() => print(dotenv(requireRunning(layoutFor(args))))),
})

/** The variables of the web app. Against a hosted project only their values differ. */
function dotenv(info: StackInfo): string {
  const variables = {
    NEXT_PUBLIC_SUPABASE_URL: info.url,
    NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY: info.publishableKey,
    SUPABASE_SECRET_KEY: info.secretKey,
    DATABASE_URL: info.dbUrl,
    AI_GATEWAY_API_KEY: info.gatewayApiKey,
    AI_GATEWAY_BASE_URL: info.gatewayUrl,
  }
  return Object.entries(variables)
    .map(([name, value]) => `${name}=${value}`)
    .join('\n')
}
