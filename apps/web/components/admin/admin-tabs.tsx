'use client'

import { Tabs } from '@mantine/core'
import { IconChartBar, IconPercentage } from '@tabler/icons-react'
import { usePathname, useRouter } from 'next/navigation'

const PAGES = [
  { href: '/admin', label: 'Margins', Icon: IconPercentage },
  { href: '/admin/reports', label: 'Reports', Icon: IconChartBar },
]

/** The pages that only admins see. */
export function AdminTabs() {
  const router = useRouter()
  return (
    <Tabs value={usePathname()} onChange={(href) => href && router.push(href)} aria-label="Admin">
      <Tabs.List>
        {PAGES.map(({ href, label, Icon }) => (
          <Tabs.Tab key={href} value={href} leftSection={<Icon size={16} aria-hidden />}>
            {label}
          </Tabs.Tab>
        ))}
      </Tabs.List>
    </Tabs>
  )
}
