import { Badge, Group, Text } from '@mantine/core'
import { IconCoins } from '@tabler/icons-react'
import type { AnswerMetadata } from '@/lib/chat/chat-message'
import { formatCredits } from '@/lib/format'

const STOPPED = {
  clamped: 'The answer ends here because your credits would not have paid for more.',
  'cut-off': 'Your credits ran out here. What was written is yours.',
  budget: 'The model wanted to go on, but your credits would not have paid for the next step.',
  abandoned: 'The answer was stopped because its reader was gone.',
}

const FINISHED: Record<string, string> = {
  length: 'The answer reached the length limit. Ask for the rest to go on.',
  'content-filter': 'The provider ended the answer: its content filter stepped in.',
}

/** Why an answer is shorter than it could be; undefined for one that is complete. */
function shortenedBy({ stopped, finishReason = '' }: AnswerMetadata): string | undefined {
  return stopped ? STOPPED[stopped] : FINISHED[finishReason]
}

/** What an answer that did not come to its end has cost. */
function costText({ credits, failed }: AnswerMetadata): string | undefined {
  if (failed) {
    return credits === undefined || credits === '0'
      ? 'The call failed. Nothing was charged.'
      : `The call failed. What was written until then cost ${formatCredits(credits)} credits.`
  }
  return credits === undefined ? 'Stopped. What it cost is in your history.' : undefined
}

/** Below an answer. Keeps its line while the answer is on its way, so that nothing jumps when the price arrives. */
export function AnswerNotes({ metadata, isStreaming }: { metadata: AnswerMetadata; isStreaming: boolean }) {
  const { model, credits, available, estimated, failed } = metadata
  const notes = [available === undefined ? null : `${formatCredits(available)} left`, model, estimated && 'estimated']
  const shortened = shortenedBy(metadata)
  const cost = isStreaming ? undefined : costText(metadata)
  return (
    <>
      {shortened ? (
        <Text size="sm" c="var(--mantine-color-orange-text)">
          {shortened}
        </Text>
      ) : null}
      <Group gap="xs" mih={24} data-testid="receipt">
        {cost === undefined ? null : (
          <Text size="xs" c="dimmed">
            {cost}
          </Text>
        )}
        {credits === undefined || failed ? null : (
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
