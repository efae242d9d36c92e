import { Alert, Code, Container, List, Text } from '@mantine/core'
import { IconSettingsExclamation } from '@tabler/icons-react'
import type { Metadata } from 'next'
import { notFound } from 'next/navigation'
import { invalidVariables } from '@/lib/env'

export const metadata: Metadata = { title: 'Not configured' }

/** What every page shows while the environment is incomplete: the names of the variables, never a value. */
export default function NotConfiguredPage() {
  const names = invalidVariables()
  if (names.length === 0) notFound()
  return (
    <Container size="sm" py={{ base: 32, sm: 72 }}>
      <Alert
        color="orange"
        title="This app is not configured yet"
        icon={<IconSettingsExclamation size={22} aria-hidden />}
      >
        <Text size="sm">
          These environment variables are missing or malformed (<Code>CONFIG_INVALID</Code>):
        </Text>
        <List my="sm" size="sm">
          {names.map((name) => (
            <List.Item key={name}>
              <Code>{name}</Code>
            </List.Item>
          ))}
        </List>
        <Text size="sm">
          Copy <Code>.env.example</Code>, or run <Code>npm run demo</Code> for a local stack that fills them in. Then
          start the app again.
        </Text>
      </Alert>
    </Container>
  )
}
