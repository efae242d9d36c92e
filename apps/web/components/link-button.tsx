'use client'

import { Button, type ButtonProps } from '@mantine/core'
import Link from 'next/link'
import type { ReactNode } from 'react'

interface LinkButtonProps extends ButtonProps {
  href: string
  children: ReactNode
}

/** A link that looks like a button, for server components: they cannot hand `Link` to a client component. */
export function LinkButton(props: LinkButtonProps) {
  return <Button component={Link} {...props} />
}
