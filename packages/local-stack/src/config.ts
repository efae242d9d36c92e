import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { parse } from 'smol-toml'
import { z } from 'zod'
import type { AuthConfig } from './auth/context.ts'
import { MAIL_KINDS, type MailKind, type MailTemplate } from './auth/mail/templates.ts'
import { messageOf, StackError } from './errors.ts'

const template = z.object({ subject: z.string().optional(), content_path: z.string().optional() })

/** The part of `supabase/config.toml` that matters here; everything else is the CLI's. */
const configSchema = z.object({
  auth: z
    .object({
      site_url: z.string().optional(),
      additional_redirect_urls: z.array(z.string()).optional(),
      jwt_expiry: z.number().optional(),
      minimum_password_length: z.number().optional(),
      enable_anonymous_sign_ins: z.boolean().optional(),
      enable_manual_linking: z.boolean().optional(),
      email: z
        .object({
          enable_confirmations: z.boolean().optional(),
          double_confirm_changes: z.boolean().optional(),
          otp_expiry: z.number().optional(),
          template: z.record(z.string(), template).optional(),
        })
        .optional(),
    })
    .optional(),
})

/** Settings of the auth server that a project file holds. */
export type ProjectAuth = Partial<Omit<AuthConfig, 'issuer'>>

/**
 * Reads the auth settings of a `supabase/config.toml`, so that the same file rules `supabase start` and this stack.
 * A file that does not exist has none.
 *
 * @throws StackError `INVALID_OPTION` when the file cannot be read
 */
export function readProjectAuth(file: string | null): ProjectAuth {
  if (file === null || !existsSync(file)) return {}
  try {
    const { auth = {} } = configSchema.parse(parse(readFileSync(file, 'utf8')))
    const { email = {} } = auth
    return known({
      siteUrl: auth.site_url,
      // `env(...)` stands for a variable of the hosted project.
      redirectOrigins: auth.additional_redirect_urls?.filter((url) => /^https?:/.test(url)).map(originOf),
      jwtExpirySeconds: auth.jwt_expiry,
      minPasswordLength: auth.minimum_password_length,
      anonymousSignIns: auth.enable_anonymous_sign_ins,
      manualLinking: auth.enable_manual_linking,
      confirmEmail: email.enable_confirmations,
      doubleConfirmChanges: email.double_confirm_changes,
      otpExpirySeconds: email.otp_expiry,
      templates: templates(email.template ?? {}, path.dirname(path.dirname(file))),
    })
  } catch (cause) {
    throw new StackError('INVALID_OPTION', `${file} cannot be read: ${messageOf(cause)}`, { cause })
  }
}

/** `http://localhost:3000/**` -> `http://localhost:3000` */
function originOf(url: string): string {
  return new URL(url.replace(/\*+/g, '')).origin
}

function templates(
  given: Record<string, z.infer<typeof template>>,
  projectRoot: string,
): Partial<Record<MailKind, MailTemplate>> {
  const entries = MAIL_KINDS.flatMap((kind) => {
    const { subject, content_path } = given[kind] ?? {}
    const file = content_path === undefined ? undefined : path.resolve(projectRoot, content_path)
    const html = file !== undefined && existsSync(file) ? readFileSync(file, 'utf8') : undefined
    return [[kind, known({ subject, html })] as const]
  })
  return Object.fromEntries(entries)
}

/** Drops members that are undefined, so that defaults show through. */
function known<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as never
}
