import { creditErrorFrom } from '@layers/credits/react'
import { Alert, Button, Group, Text } from '@mantine/core'
import { IconAlertCircle, IconCoins } from '@tabler/icons-react'
import { formatCredits } from '@/lib/format'

/** Why there is no answer. Too few credits is not a failure but a choice, and looks like one. */
export function ChatProblem({ error, onRetry }: { error: Error; onRetry: () => void }) {
  const problem = creditErrorFrom(error)
  if (problem?.code === 'INSUFFICIENT_CREDITS') {
    return <NotEnough details={problem.details} onRetry={onRetry} />
  }
  const isSignedOut = problem?.code === 'UNAUTHENTICATED'
  return (
    <Alert
      color="red"
      variant="light"
      role="alert"
      icon={<IconAlertCircle size={20} aria-hidden />}
      title={isSignedOut ? 'You are signed out' : 'There is no answer'}
    >
      <Group justify="space-between" gap="sm">
        <Text size="sm">{problem?.message ?? 'The connection was lost. Try again.'}</Text>
        {isSignedOut ? (
          <Button component="a" href="/sign-in?next=/chat" size="xs" color="red" variant="light">
            Sign in
          </Button>
        ) : (
          <Button size="xs" color="red" variant="light" onClick={onRetry}>
            Try again
          </Button>
        )}
      </Group>
    </Alert>
  )
}

function NotEnough({ details, onRetry }: { details: Readonly<Record<string, unknown>>; onRetry: () => void }) {
  const { available, required, upgradeUrl } = details
  const isKnown = typeof available === 'string' && typeof required === 'string'
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
        {typeof upgradeUrl === 'string' ? (
          <Button component="a" href={upgradeUrl} size="xs" color="orange">
            Get more credits
          </Button>
        ) : null}
        <Button size="xs" variant="default" onClick={onRetry}>
          Try again
        </Button>
      </Group>
    </Alert>
  )
}
