import { type CreditError, parseProblem } from '@layers/credits/react'
import { Alert, Button, Group, Text } from '@mantine/core'
import { IconAlertCircle, IconCoins } from '@tabler/icons-react'
import { canRetry, textOf } from '@/lib/error-text'
import { formatCredits } from '@/lib/format'

interface ChatProblemProps {
  error: Error
  /** Some of the answer is on the screen. */
  hasText: boolean
  onRetry: () => void
}

/** Why there is no answer. Too few credits is not a failure but a choice, and looks like one. */
export function ChatProblem({ error, hasText, onRetry }: ChatProblemProps) {
  const problem = parseProblem(error)
  if (problem?.code === 'INSUFFICIENT_CREDITS') return <NotEnough details={problem.details} onRetry={onRetry} />
  const isSignedOut = problem?.code === 'UNAUTHENTICATED'
  return (
    <Alert
      color="red"
      variant="light"
      role="alert"
      icon={<IconAlertCircle size={20} aria-hidden />}
      title={isSignedOut ? 'You are signed out' : hasText ? 'The answer is incomplete' : 'There is no answer'}
    >
      <Group justify="space-between" gap="sm">
        <Text size="sm">{problem ? textOf(problem) : 'The connection was lost. Try again.'}</Text>
        {isSignedOut ? (
          <Button component="a" href="/sign-in?next=/chat" size="xs" color="red" variant="light">
            Sign in
          </Button>
        ) : canRetry(problem) ? (
          <Button size="xs" color="red" variant="light" onClick={onRetry}>
            Try again
          </Button>
        ) : null}
      </Group>
    </Alert>
  )
}

interface NotEnoughProps {
  details: CreditError<'INSUFFICIENT_CREDITS'>['details']
  onRetry: () => void
}

function NotEnough({ details: { available, required, upgradeUrl }, onRetry }: NotEnoughProps) {
  const isKnown = available !== undefined && required !== undefined
  return (
    <Alert
      color="orange"
      variant="light"
      role="alert"
      icon={<IconCoins size={20} aria-hidden />}
      title="You do not have enough credits for this"
      data-testid="not-enough"
    >
      <Text size="sm" className="digits">
        {isKnown
          ? `This needs up to ${formatCredits(required)} credits and you have ${formatCredits(available)}. `
          : null}
        Nothing was charged. A shorter question or a cheaper model may still fit.
      </Text>
      <Group mt="sm" gap="xs">
        {upgradeUrl === undefined ? null : (
          <Button component="a" href={upgradeUrl} size="xs" color="orange.9">
            Get more credits
          </Button>
        )}
        <Button size="xs" variant="default" onClick={onRetry}>
          Try again
        </Button>
      </Group>
    </Alert>
  )
}
