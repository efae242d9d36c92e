'use client'

import { type BalanceBody, useCredits } from '@layers/credits/react'
import { Badge, Tooltip } from '@mantine/core'
import { IconCoins } from '@tabler/icons-react'
import Link from 'next/link'
import { usePathname } from 'next/navigation'
import { useEffect, useRef } from 'react'
import { formatCredits, formatCreditsShort } from '@/lib/format'

/** Below five credits. */
const LOW = /^(-|[0-4](\.|$))/

/** While calls run, their reservations come and go without this page. */
const POLL_MS = 2_000

/** What can be spent now; follows every answer. Leads to the history. */
export function BalanceBadge({ initialBalance }: { initialBalance: BalanceBody | null }) {
  const { balance, error, refresh } = useCredits({ initialBalance: initialBalance ?? undefined })
  usePolling(refresh, balance !== undefined && balance.reserved !== '0')
  useSignInWhen(error?.code === 'UNAUTHENTICATED')
  const available = balance?.available
  const isLow = available !== undefined && LOW.test(available)
  const shown = available === undefined ? '–' : formatCreditsShort(available)
  const label =
    available === undefined ? 'Your balance cannot be read' : `${formatCredits(available)} credits available`
  return (
    <Tooltip label={label}>
      <Badge
        component={Link}
        href="/history"
        size="lg"
        variant="light"
        color={isLow ? 'orange' : 'violet'}
        leftSection={<IconCoins size={16} aria-hidden />}
        tt="none"
        className="digits"
        style={{ cursor: 'pointer' }}
        // Begins with the text on the screen, which people who speak to their browser say.
        aria-label={`${shown} credits available, open the history`}
        data-testid="balance"
      >
        {shown}
      </Badge>
    </Tooltip>
  )
}

function usePolling(read: () => Promise<void>, isActive: boolean): void {
  const latest = useRef(read)
  useEffect(() => {
    latest.current = read
  })
  useEffect(() => {
    if (!isActive) return
    const timer = setInterval(() => {
      if (!document.hidden) void latest.current()
    }, POLL_MS)
    return () => clearInterval(timer)
  }, [isActive])
}

/** The session ended elsewhere, for instance in another tab: nothing of the account may stay on the screen. */
function useSignInWhen(isSignedOut: boolean): void {
  const pathname = usePathname()
  useEffect(() => {
    if (isSignedOut) window.location.assign(`/sign-in?next=${encodeURIComponent(pathname)}`)
  }, [isSignedOut, pathname])
}
