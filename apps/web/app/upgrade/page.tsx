import { Alert, Badge, Card, Container, Group, SimpleGrid, Stack, Text, Title } from '@mantine/core'
import { IconInfoCircle } from '@tabler/icons-react'
import type { Metadata } from 'next'
import { currentUser } from '@/lib/auth/session'
import { formatCredits, formatUsd } from '@/lib/format'
import { getCredits } from '@/lib/server/credits'
import { type Plan, readPlans } from '@/lib/server/plans'

export const metadata: Metadata = { title: 'Plans' }

export default async function UpgradePage() {
  const [plans, user] = await Promise.all([readPlans(), currentUser()])
  const current = user ? (await getCredits().getBalance({ userId: user.id })).planId : null
  return (
    <Container size="lg" py={{ base: 32, sm: 64 }}>
      <Stack align="center" ta="center" gap="xs">
        <Title order={1}>Plans</Title>
        <Text c="dimmed">Credits are renewed each month and work with every model.</Text>
      </Stack>
      <Alert my="xl" maw={640} mx="auto" icon={<IconInfoCircle size={20} aria-hidden />} variant="light">
        Payments are not connected in this app yet, so plans cannot be bought here. The operator can change your plan or
        add credits.
      </Alert>
      <SimpleGrid cols={{ base: 1, xs: 2, md: 4 }} spacing="md">
        {plans.map((plan) => (
          <PlanCard key={plan.id} plan={plan} isCurrent={plan.id === current} />
        ))}
      </SimpleGrid>
    </Container>
  )
}

function PlanCard({ plan, isCurrent }: { plan: Plan; isCurrent: boolean }) {
  return (
    <Card
      withBorder
      padding="lg"
      component="section"
      aria-label={plan.name}
      style={isCurrent ? { borderColor: 'var(--mantine-primary-color-filled)' } : undefined}
    >
      <Group justify="space-between" mih={26}>
        <Title order={2} fz="lg">
          {plan.name}
        </Title>
        {isCurrent ? <Badge variant="light">Your plan</Badge> : null}
      </Group>
      <Group align="baseline" gap={6} mt="md">
        <Text fz={34} fw={700} lh={1} className="digits">
          {formatUsd(plan.price_usd)}
        </Text>
        <Text c="dimmed" size="sm">
          a month
        </Text>
      </Group>
      <Text mt="md" className="digits">
        <b>{formatCredits(plan.monthly_credits)}</b> credits a month
      </Text>
    </Card>
  )
}
