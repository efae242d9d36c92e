import { CreditError } from '@layers/credits'
import { z } from 'zod'

const optional = z
  .string()
  .transform((value) => value.trim() || undefined)
  .optional()

const environment = z.object({
  NEXT_PUBLIC_SUPABASE_URL: z.url(),
  NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY: z.string().min(1),
  SUPABASE_SECRET_KEY: z.string().min(1),
  AI_GATEWAY_API_KEY: z.string().min(1),
  AI_GATEWAY_BASE_URL: z.union([z.literal('').transform(() => undefined), z.url()]).optional(),
  CREDITS_UPGRADE_URL: optional,
  CREDITS_ALLOWED_ORIGINS: optional,
  CHAT_MODEL: optional,
  CLIENT_IP_HEADER: optional,
  CRON_SECRET: optional,
  SUPABASE_AUTH_EXTERNAL_GOOGLE_CLIENT_ID: optional,
  SUPABASE_AUTH_EXTERNAL_GITHUB_CLIENT_ID: optional,
})

/** The variables of .env.example, checked. */
export type Env = z.infer<typeof environment>

/**
 * Reads the environment when it is needed, not when the app is built, so that one build serves every stage.
 * The whole object is read, because a literal `process.env.NEXT_PUBLIC_…` would be replaced by the build.
 *
 * @throws CreditError `CONFIG_INVALID`, naming the variables and never their values.
 */
export function readEnv(): Env {
  const result = environment.safeParse(process.env)
  if (result.success) return result.data
  const missing = [...new Set(result.error.issues.map(({ path }) => String(path[0])))]
  throw new CreditError({
    code: 'CONFIG_INVALID',
    message: `Missing or malformed environment variables: ${missing.join(', ')}`,
    details: { missing },
  })
}

/** Names of the variables that are missing or malformed; empty when all is well. */
export function invalidVariables(): string[] {
  try {
    readEnv()
    return []
  } catch (error) {
    return CreditError.isInstance(error) && error.code === 'CONFIG_INVALID' ? [...(error.details.missing ?? [])] : []
  }
}
