import { Button, SimpleGrid, Stack, Text, Title } from '@mantine/core'
import classes from './chat.module.css'

const SUGGESTIONS = [
  'Explain how a credit reservation works, in three sentences.',
  'Write a friendly e-mail that moves a meeting to Thursday.',
  'What should I check before a database migration?',
  'Give me five names for a small coffee shop.',
]

/** Before the first question. */
export function EmptyChat({ onPick }: { onPick: (text: string) => void }) {
  return (
    <Stack align="center" justify="center" flex={1} gap="xs" ta="center" pb="xl">
      <Title order={1} fz={{ base: 26, sm: 34 }}>
        What can I do for you?
      </Title>
      <Text c="dimmed">Every answer shows what it cost.</Text>
      <SimpleGrid cols={{ base: 1, xs: 2 }} mt="lg" spacing="sm" maw={640}>
        {SUGGESTIONS.map((text) => (
          <Button
            key={text}
            variant="default"
            fw={400}
            justify="flex-start"
            className={classes.suggestion}
            styles={{ label: { whiteSpace: 'normal' } }}
            onClick={() => onPick(text)}
          >
            {text}
          </Button>
        ))}
      </SimpleGrid>
    </Stack>
  )
}
