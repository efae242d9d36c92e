'use client'

import type { BalanceBody } from '@layers/credits/react'
import {
  Anchor,
  AppShell,
  Box,
  Burger,
  Button,
  Container,
  Drawer,
  Group,
  NavLink,
  Stack,
  Text,
  ThemeIcon,
} from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconStack2 } from '@tabler/icons-react'
import Link from 'next/link'
import { usePathname } from 'next/navigation'
import type { ReactNode } from 'react'
import { AccountMenu } from './account-menu'
import { BalanceBadge } from './balance-badge'
import { ColorSchemeToggle } from './color-scheme-toggle'
import classes from './shell.module.css'

/** Who is signed in, as the header shows it. */
export interface ShellUser {
  email: string
  isAdmin: boolean
}

interface ShellProps {
  user: ShellUser | null
  balance: BalanceBody | null
  children: ReactNode
}

/** Header with navigation, balance and account; the page below it. */
export function Shell({ user, balance, children }: ShellProps) {
  const pathname = usePathname()
  const [opened, { toggle, close }] = useDisclosure(false)
  const links = navigation(user)
  return (
    <AppShell header={{ height: 60 }} padding={0}>
      <a href="#main" className={classes.skip}>
        Skip to content
      </a>
      <AppShell.Header className={classes.header}>
        <Container size="lg" h="100%">
          <Group h="100%" justify="space-between" wrap="nowrap" gap="sm">
            <Group gap="lg" wrap="nowrap">
              <Group gap="xs" wrap="nowrap">
                <Burger opened={opened} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Open navigation" />
                <Logo />
              </Group>
              <Group component="nav" aria-label="Main" gap={4} visibleFrom="sm" wrap="nowrap">
                {links.map(({ href, label }) => (
                  <Link
                    key={href}
                    href={href}
                    className={classes.link}
                    aria-current={isWithin(pathname, href) ? 'page' : undefined}
                  >
                    {label}
                  </Link>
                ))}
              </Group>
            </Group>
            <Group gap="xs" wrap="nowrap">
              {user ? <BalanceBadge initialBalance={balance} /> : null}
              <ColorSchemeToggle />
              {user ? <AccountMenu email={user.email} /> : <SignInButtons />}
            </Group>
          </Group>
        </Container>
      </AppShell.Header>
      <Drawer.Root opened={opened} onClose={close} size="xs" hiddenFrom="sm">
        <Drawer.Overlay />
        <Drawer.Content>
          <Group justify="space-between" p="md">
            <Drawer.Title>Layers</Drawer.Title>
            <Drawer.CloseButton aria-label="Close" />
          </Group>
          <Drawer.Body>
            <Stack component="nav" aria-label="Main" gap={4}>
              {links.map(({ href, label }) => (
                <NavLink
                  key={href}
                  component={Link}
                  href={href}
                  label={label}
                  active={isWithin(pathname, href)}
                  onClick={close}
                />
              ))}
              {user ? null : (
                <Button component={Link} href="/sign-up" onClick={close} mt="md">
                  Sign up
                </Button>
              )}
            </Stack>
          </Drawer.Body>
        </Drawer.Content>
      </Drawer.Root>
      <AppShell.Main id="main" tabIndex={-1} className={classes.main}>
        {children}
      </AppShell.Main>
    </AppShell>
  )
}

/** The page itself, or one below it. */
function isWithin(pathname: string, href: string): boolean {
  return pathname === href || pathname.startsWith(`${href}/`)
}

function navigation(user: ShellUser | null): { href: string; label: string }[] {
  return [
    ...(user
      ? [
          { href: '/chat', label: 'Chat' },
          { href: '/history', label: 'History' },
        ]
      : []),
    { href: '/upgrade', label: 'Pricing' },
    ...(user?.isAdmin ? [{ href: '/admin', label: 'Admin' }] : []),
  ]
}

function Logo() {
  return (
    <Anchor component={Link} href="/" underline="never" c="inherit" aria-label="Layers, start page">
      <Group gap={8} wrap="nowrap">
        <ThemeIcon variant="gradient" gradient={{ from: 'violet', to: 'indigo', deg: 135 }} size={30} radius="md">
          <IconStack2 size={18} aria-hidden />
        </ThemeIcon>
        <Text fw={700} fz="lg" visibleFrom="xs">
          Layers
        </Text>
      </Group>
    </Anchor>
  )
}

function SignInButtons() {
  return (
    <>
      <Button component={Link} href="/sign-in" variant="subtle" size="sm">
        Sign in
      </Button>
      <Box visibleFrom="sm">
        <Button component={Link} href="/sign-up" size="sm">
          Sign up
        </Button>
      </Box>
    </>
  )
}
