/** What {@link authFetch} needs of the environment. */
interface AuthFetchEnv {
  NEXT_PUBLIC_SUPABASE_URL: string
  SUPABASE_SECRET_KEY: string
}

/**
 * A `fetch` that names the client to the auth server, so that its limits count per client and not for this server as
 * a whole. Supabase accepts the address with the secret key as `apikey`, when "IP address forwarding" is on in the
 * project. Requests to other services keep their key: there the secret key would pass row-level security.
 */
export function authFetch(env: AuthFetchEnv, ip: string | undefined): typeof fetch {
  if (ip === undefined) return fetch
  const authUrl = `${env.NEXT_PUBLIC_SUPABASE_URL.replace(/\/+$/, '')}/auth/v1/`
  return (input, init) => {
    const url = input instanceof Request ? input.url : String(input)
    if (!url.startsWith(authUrl)) return fetch(input, init)
    const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined))
    headers.set('apikey', env.SUPABASE_SECRET_KEY)
    // Authorization stays the user's or the publishable key: as an admin, the auth server would skip the captcha.
    headers.set('sb-forwarded-for', ip)
    return fetch(input, { ...init, headers })
  }
}
