import { z } from 'zod'
import type { Variables } from './env-text.ts'

/**
 * Answer of `supabase config diff`: the declared settings that a project does not have yet. `masked` are secrets,
 * `unmanaged` what the API does not return.
 */
export const diffSchema = z.object({
  changes: z.array(
    z.object({
      path: z.array(z.string()),
      /** `update`, `local_only` or `remote_only`. */
      class: z.string(),
      local: z.unknown(),
      remote: z.unknown(),
    }),
  ),
})

/** The differences between config.toml and a project. */
export type ConfigDiff = z.infer<typeof diffSchema>

/** What a hosted project has today of the settings that this setup extends and does not replace. */
export interface CurrentAuth {
  siteUrl: string
  redirectUrls: string[]
}

/** Today's values: the remote side of the difference, or what config.toml says where there is none. */
export function currentAuth(diff: ConfigDiff, declared: CurrentAuth): CurrentAuth {
  const remote = (name: string) => {
    const change = diff.changes.find(({ path }) => path.join('.') === `auth.${name}`)
    return change === undefined ? undefined : { value: change.remote }
  }
  const siteUrl = remote('site_url')
  const redirectUrls = remote('additional_redirect_urls')
  return {
    siteUrl: siteUrl === undefined ? declared.siteUrl : z.string().catch('').parse(siteUrl.value),
    redirectUrls:
      redirectUrls === undefined ? declared.redirectUrls : z.array(z.string()).catch([]).parse(redirectUrls.value),
  }
}

const PROVIDERS = ['GOOGLE', 'GITHUB'] as const

/**
 * The overrides of config.toml for a hosted project, as variables that the CLI understands (SUPABASE_ and the path).
 *
 * - E-mail addresses are confirmed, with a minute between two e-mails; changing the password needs a fresh sign-in.
 * - The site is the production URL; without one the project keeps the site it has. Redirect addresses are added,
 *   never taken away: they may have been added in the dashboard.
 * - A provider is on exactly when its client id and secret are set.
 */
export function hostedAuth(input: {
  current: CurrentAuth
  declared: CurrentAuth
  productionUrl: string | undefined
  variables: Readonly<Record<string, string | undefined>>
}): Variables {
  const { current, declared, productionUrl, variables } = input
  const site = productionUrl === undefined ? undefined : new URL(productionUrl).origin
  const wanted = [...declared.redirectUrls, ...(site === undefined ? [] : [`${site}/**`])]
  return {
    SUPABASE_AUTH_SITE_URL: site ?? (current.siteUrl || declared.siteUrl),
    SUPABASE_AUTH_ADDITIONAL_REDIRECT_URLS: [...new Set([...current.redirectUrls, ...wanted])].join(','),
    SUPABASE_AUTH_EMAIL_ENABLE_CONFIRMATIONS: 'true',
    SUPABASE_AUTH_EMAIL_MAX_FREQUENCY: '60s',
    SUPABASE_AUTH_EMAIL_SECURE_PASSWORD_CHANGE: 'true',
    SUPABASE_AUTH_EXTERNAL_GOOGLE_SKIP_NONCE_CHECK: 'false',
    ...Object.assign({}, ...PROVIDERS.map((provider) => providerVariables(provider, variables))),
  }
}

function providerVariables(
  provider: (typeof PROVIDERS)[number],
  variables: Readonly<Record<string, string | undefined>>,
): Variables {
  const prefix = `SUPABASE_AUTH_EXTERNAL_${provider}`
  const id = variables[`${prefix}_CLIENT_ID`]
  const secret = variables[`${prefix}_SECRET`]
  return id && secret
    ? { [`${prefix}_ENABLED`]: 'true', [`${prefix}_CLIENT_ID`]: id, [`${prefix}_SECRET`]: secret }
    : { [`${prefix}_ENABLED`]: 'false' }
}
