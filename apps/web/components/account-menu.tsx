'use client'

import { fetchJson } from '@layers/credits/react'
import { ActionIcon, Menu } from '@mantine/core'
import { IconHistory, IconLogout, IconSparkles, IconUserCircle } from '@tabler/icons-react'
import Link from 'next/link'

/** Whose session this is, and the way out of it. */
export function AccountMenu({ email }: { email: string }) {
  const signOut = async () => {
    await fetchJson('/api/auth/sign-out', { method: 'POST' }).catch(() => null)
    // A full load, so that nothing of the account stays in memory.
    window.location.assign('/')
  }
  return (
    <Menu position="bottom-end" width={240} shadow="md" withinPortal={false} withInitialFocusPlaceholder={false}>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label="Account menu">
          <IconUserCircle size={22} aria-hidden />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label style={{ overflowWrap: 'anywhere' }}>Signed in as {email}</Menu.Label>
        <Menu.Item component={Link} href="/history" leftSection={<IconHistory size={16} aria-hidden />}>
          History
        </Menu.Item>
        <Menu.Item component={Link} href="/upgrade" leftSection={<IconSparkles size={16} aria-hidden />}>
          Plans
        </Menu.Item>
        <Menu.Item leftSection={<IconLogout size={16} aria-hidden />} onClick={signOut}>
          Sign out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}
