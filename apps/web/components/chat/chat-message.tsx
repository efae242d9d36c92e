import { Group, Loader, Stack, Text, ThemeIcon } from '@mantine/core'
import { IconSparkles } from '@tabler/icons-react'
import { useEffect, useState } from 'react'
import { type ChatMessage, messageCredits, messageText } from '@/lib/chat/chat-message'
import { AnswerNotes } from './answer-notes'
import classes from './chat.module.css'
import { Markdown } from './markdown'

/** A model that sends nothing for so long has probably stalled. */
const QUIET_MS = 15_000

/** What the user asked. */
export function Question({ message }: { message: ChatMessage }) {
  return (
    <Group justify="flex-end">
      <div className={classes.question}>{messageText(message)}</div>
    </Group>
  )
}

/** What the model said, and below it what that cost. */
export function Answer({ message, isStreaming }: { message: ChatMessage; isStreaming: boolean }) {
  const text = messageText(message)
  return (
    <Group align="flex-start" gap="sm" wrap="nowrap">
      <Avatar />
      <Stack gap={8} flex={1} miw={0} pt={2}>
        {text ? <Markdown text={text} /> : null}
        {isStreaming && !text ? <Loader type="dots" size="sm" aria-label="Thinking" /> : null}
        {isStreaming ? <QuietNote key={text.length} /> : null}
        <AnswerNotes credits={messageCredits(message)} metadata={message.metadata ?? {}} isStreaming={isStreaming} />
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
      <QuietNote />
    </Group>
  )
}

/** Appears when nothing has arrived for a while; a new key starts the time again. */
function QuietNote() {
  const [isQuiet, setQuiet] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setQuiet(true), QUIET_MS)
    return () => clearTimeout(timer)
  }, [])
  if (!isQuiet) return null
  return (
    <Text size="sm" c="dimmed" role="status">
      The model has sent nothing for a while. You can wait, or stop it and ask again.
    </Text>
  )
}

function Avatar() {
  return (
    <ThemeIcon variant="light" radius="xl" size={30} aria-hidden>
      <IconSparkles size={17} />
    </ThemeIcon>
  )
}
