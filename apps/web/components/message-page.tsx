import { Container, Group, Stack, Text, Title } from '@mantine/core'
import type { ReactNode } from 'react'
import { LinkButton } from './link-button'

interface MessagePageProps {
  title: string
  text: string
  /** Besides the way home. */
  action?: ReactNode
}

/** A page that has only something to say. */
export function MessagePage({ title, text, action }: MessagePageProps) {
  return (
    <Container size="sm" py={{ base: 64, sm: 120 }}>
      <Stack align="center" ta="center">
        <Title order={1}>{title}</Title>
        <Text c="dimmed">{text}</Text>
        <Group mt="sm" justify="center">
          {action}
          <LinkButton href="/" variant="default">
            To the start page
          </LinkButton>
        </Group>
      </Stack>
    </Container>
  )
}
