'use client'

import { type BalanceBody, useCredits } from '@layers/credits/react'
import { Badge, Tooltip } from '@mantine/core'
import { IconCoins } from '@tabler/icons-react'
import Link from 'next/link'
import { formatCredits, formatCreditsShort } from '@/lib/format'

/** Below five credits. */
const LOW = /^(-|[0-4](\.|$))/

/** What can be spent now; follows every answer. Leads to the history. */
export function BalanceBadge({ initialBalance }: { initialBalance: BalanceBody | null }) {
  const { balance } = useCredits({ initialBalance: initialBalance ?? undefined })
  const available = balance?.available
  const isLow = available !== undefined && LOW.test(available)
  return (
    <Tooltip
      label={available === undefined ? 'Your balance cannot be read' : `${formatCredits(available)} credits available`}
    >
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
        aria-live="polite"
        data-testid="balance"
      >
        {available === undefined ? '–' : formatCreditsShort(available)}
      </Badge>
    </Tooltip>
  )
}
