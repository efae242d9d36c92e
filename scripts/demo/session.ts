import { createServerClient } from '@supabase/ssr'

/** A browser's part in the demo: cookies as @supabase/ssr keeps them, sent with every request to the web app. */
export interface Session {
  supabase: ReturnType<typeof createServerClient>
  fetch(path: string, init?: RequestInit): Promise<Response>
}

export function newSession({
  webUrl,
  supabaseUrl,
  publishableKey,
}: {
  webUrl: string
  supabaseUrl: string
  publishableKey: string
}): Session {
  const jar = new Map<string, string>()
  const supabase = createServerClient(supabaseUrl, publishableKey, {
    cookies: {
      getAll: () => [...jar].map(([name, value]) => ({ name, value })),
      setAll: (cookies) => {
        for (const { name, value } of cookies) {
          if (value) jar.set(name, value)
          else jar.delete(name)
        }
      },
    },
  })
  return {
    supabase,
    fetch: (path, init = {}) =>
      fetch(new URL(path, webUrl), {
        ...init,
        headers: {
          origin: new URL(webUrl).origin,
          cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
          ...(init.body ? { 'content-type': 'application/json' } : {}),
          ...Object.fromEntries(new Headers(init.headers)),
        },
      }),
  }
}
