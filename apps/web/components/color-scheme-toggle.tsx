'use client'

import { ActionIcon, Box, useComputedColorScheme, useMantineColorScheme } from '@mantine/core'
import { IconMoon, IconSun } from '@tabler/icons-react'

/** Light or dark; the system's choice until the first click. */
export function ColorSchemeToggle() {
  const { setColorScheme } = useMantineColorScheme()
  const scheme = useComputedColorScheme('light')
  // The server does not know the scheme, so both icons are rendered and CSS shows one. Choosing here would make the
  // page of the server differ from that of a browser which remembers a choice.
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      size="lg"
      aria-label="Switch between light and dark"
      onClick={() => setColorScheme(scheme === 'dark' ? 'light' : 'dark')}
    >
      <Box component="span" display="flex" lightHidden>
        <IconSun size={18} aria-hidden />
      </Box>
      <Box component="span" display="flex" darkHidden>
        <IconMoon size={18} aria-hidden />
      </Box>
    </ActionIcon>
  )
}
