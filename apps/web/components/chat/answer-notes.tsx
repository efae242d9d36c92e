import type { MessageCredits } from '@layers/credits/ai'
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

interface AnswerNotesProps {
  /** Undefined while the answer is on its way, and when it was stopped before it came to its end. */
  credits: MessageCredits | undefined
  metadata: AnswerMetadata
  isStreaming: boolean
}

/** Below an answer. Keeps its line while the answer is on its way, so that nothing jumps when the price arrives. */
export function AnswerNotes({ credits, metadata: { model, finishReason = '' }, isStreaming }: AnswerNotesProps) {
  const shortened = credits?.stopped ? STOPPED[credits.stopped.reason] : FINISHED[finishReason]
  const cost = isStreaming ? undefined : costText(credits)
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
        {credits === undefined || credits.failed ? null : <Receipt credits={credits} model={model} />}
      </Group>
      {credits?.booked === false ? (
        <Text size="sm" c="var(--mantine-color-orange-text)" role="status">
          This is not in your history yet. Your balance changes when it is.
        </Text>
      ) : null}
    </>
  )
}

/** What an answer that did not come to its end has cost. */
function costText(credits: MessageCredits | undefined): string | undefined {
  if (credits === undefined) return 'Stopped. What it cost is in your history.'
  if (!credits.failed) return undefined
  return credits.charged === '0'
    ? 'The call failed. Nothing was charged.'
    : `The call failed. What was written until then cost ${formatCredits(credits.charged)} credits.`
}

function Receipt({ credits, model }: { credits: MessageCredits; model: string | undefined }) {
  const { charged, available, estimated } = credits
  const notes = [
    available === undefined ? undefined : `${formatCredits(available)} left`,
    model,
    estimated ? 'estimated' : undefined,
  ]
  return (
    <>
      <Badge
        variant="light"
        color="gray"
        tt="none"
        className="digits"
        leftSection={<IconCoins size={13} aria-hidden />}
        data-credits={charged}
      >
        {formatCredits(charged)} credits
      </Badge>
      <Text size="xs" c="dimmed" className="digits">
        {notes.filter((note) => note !== undefined).join(' · ')}
      </Text>
    </>
  )
}
