import '@mantine/core/styles.css'
import './globals.css'
import { type BalanceBody, toBalanceBody } from '@layers/credits/http'
import { ColorSchemeScript, MantineProvider, mantineHtmlProps } from '@mantine/core'
import type { Metadata, Viewport } from 'next'
import { headers } from 'next/headers'
import type { ReactNode } from 'react'
import { Shell, type ShellUser } from '@/components/shell'
import { theme } from '@/components/theme'
import { currentUser, isAdmin } from '@/lib/auth/session'
import { getCredits } from '@/lib/server/credits'
import { logError } from '@/lib/server/log'

export const metadata: Metadata = {
  title: { default: 'Layers', template: '%s · Layers' },
  description: 'Chat with any model. Every answer shows what it cost and what is left.',
}

export const viewport: Viewport = { width: 'device-width', initialScale: 1, colorScheme: 'light dark' }

/** Depends on the session and on variables that are read at run time. */
export const dynamic = 'force-dynamic'

export default async function RootLayout({ children }: { children: ReactNode }) {
  const { user, balance } = await readHeader()
  const nonce = (await headers()).get('x-nonce') ?? undefined
  return (
    <html lang="en" {...mantineHtmlProps}>
      <head>
        <ColorSchemeScript defaultColorScheme="auto" nonce={nonce} />
      </head>
      <body>
        <MantineProvider theme={theme} defaultColorScheme="auto">
          <Shell user={user} balance={balance}>
            {children}
          </Shell>
        </MantineProvider>
      </body>
    </html>
  )
}

/** The header never takes a page down: without the auth server or the database it shows a visitor's. */
async function readHeader(): Promise<{ user: ShellUser | null; balance: BalanceBody | null }> {
  try {
    const user = await currentUser()
    if (!user) return { user: null, balance: null }
    const [admin, balance] = await Promise.all([isAdmin(user), getCredits().getBalance({ userId: user.id })])
    return { user: { email: user.email ?? 'Signed in', isAdmin: admin }, balance: toBalanceBody(balance) }
  } catch (error) {
    logError(error)
    return { user: null, balance: null }
  }
}
