'use client'

/** Shown when the frame around all pages fails, so it cannot rely on anything of it. */
export default function GlobalError({ retry }: { error: Error; retry: () => void }) {
  return (
    <html lang="en">
      <head>
        <title>Out of order · Layers</title>
      </head>
      <body style={{ colorScheme: 'light dark', font: '16px/1.6 system-ui, sans-serif', padding: '15vh 1.5rem' }}>
        <main style={{ maxWidth: '38rem', margin: '0 auto' }}>
          <h1>This app cannot be shown now</h1>
          <p>Try again in a moment.</p>
          <button type="button" onClick={retry}>
            Try again
          </button>
        </main>
      </body>
    </html>
  )
}
