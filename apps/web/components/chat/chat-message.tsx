import { Badge, Group, Loader, Stack, Text, ThemeIcon } from '@mantine/core'
import { IconCoins, IconSparkles } from '@tabler/icons-react'
import type { AnswerMetadata, ChatMessage } from '@/lib/chat-message'
import { formatCredits } from '@/lib/format'
import classes from './chat.module.css'
import { Markdown } from './markdown'

function textOf({ parts }: ChatMessage): string {
  return parts.map((part) => (part.type === 'text' ? part.text : '')).join('')
}

/** What the user asked. */
export function Question({ message }: { message: ChatMessage }) {
  return (
    <Group justify="flex-end">
      <div className={classes.question}>{textOf(message)}</div>
    </Group>
  )
}

/** What the model said, and below it what that cost. */
export function Answer({ message, isStreaming }: { message: ChatMessage; isStreaming: boolean }) {
  const text = textOf(message)
  return (
    <Group align="flex-start" gap="sm" wrap="nowrap">
      <Avatar />
      <Stack gap={8} flex={1} miw={0} pt={2}>
        {text ? <Markdown text={text} /> : null}
        {isStreaming && !text ? <Loader type="dots" size="sm" aria-label="Thinking" /> : null}
        <Receipt metadata={message.metadata ?? {}} isStreaming={isStreaming} />
      </Stack>
    </Group>
  )
}

/** Between the question and the first word of the answer. */
export function Thinking() {
  return (
    <Group align="center" gap="sm">
      <Avatar />
      <Loader type="dots" size="sm" aria-label="Thinking" />
    </Group>
  )
}

function Avatar() {
  return (
    <ThemeIcon variant="light" radius="xl" size={30} aria-hidden>
      <IconSparkles size={17} />
    </ThemeIcon>
  )
}

const STOPPED = {
  clamped: 'The answer ends here because your credits would not have paid for more.',
  'cut-off': 'Your credits ran out here. What was written is yours.',
  budget: 'The model wanted to go on, but your credits would not have paid for the next step.',
  abandoned: 'The answer was stopped because nobody was reading it.',
}

/** Keeps its line while the answer is on its way, so that nothing jumps when the price arrives. */
function Receipt({ metadata, isStreaming }: { metadata: AnswerMetadata; isStreaming: boolean }) {
  const { model, credits, available, estimated, stopped } = metadata
  const notes = [available === undefined ? null : `${formatCredits(available)} left`, model, estimated && 'estimated']
  return (
    <>
      {stopped ? (
        <Text size="sm" c="orange">
          {STOPPED[stopped]}
        </Text>
      ) : null}
      <Group gap="xs" mih={24} data-testid="receipt">
        {credits === undefined && !isStreaming ? (
          <Text size="xs" c="dimmed">
            Stopped. What it cost is in your history.
          </Text>
        ) : null}
        {credits === undefined ? null : (
          <>
            <Badge
              variant="light"
              color="gray"
              tt="none"
              className="digits"
              leftSection={<IconCoins size={13} aria-hidden />}
              data-credits={credits}
            >
              {formatCredits(credits)} credits
            </Badge>
            <Text size="xs" c="dimmed" className="digits">
              {notes.filter(Boolean).join(' · ')}
            </Text>
          </>
        )}
      </Group>
    </>
  )
}
