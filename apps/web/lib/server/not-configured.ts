/**
 * Every page while the environment is incomplete: the names of the variables, never a value. Plain HTML, so that it
 * needs nothing that may be missing.
 */
export function notConfiguredPage(names: readonly string[]): Response {
  const items = names.map((name) => `<li><code>${name}</code></li>`).join('')
  const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Not configured · Layers</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.6 ui-sans-serif, system-ui, sans-serif }
  body { max-width: 38rem; margin: 15vh auto; padding: 0 1.5rem }
  h1 { font-size: 1.6rem; line-height: 1.2 }
  code { font-size: .9em; overflow-wrap: anywhere }
</style>
<h1>This app is not configured yet</h1>
<p>These environment variables are missing or malformed (<code>CONFIG_INVALID</code>):</p>
<ul>${items}</ul>
<p>Copy <code>.env.example</code> to <code>.env.local</code> and fill it in, or run <code>npm run demo</code> for a local
stack that needs no setting. Then start the app again.</p>
</html>`
  return new Response(html, {
    status: 500,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    },
  })
}
