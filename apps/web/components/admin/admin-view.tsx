'use client'

import { Alert, Button, Card, Group, Skeleton, Stack, Text, Title } from '@mantine/core'
import { IconAlertCircle } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import { useAudit, useMargins } from './admin-api'
import { AdminTabs } from './admin-tabs'
import { AuditLog } from './audit-log'
import { DefaultMargin } from './default-margin'
import { NewOverride } from './new-override'
import { Overrides } from './overrides'

/** Prices: what is added to the cost of a model, and who changed it. */
export function AdminView() {
  const margins = useMargins()
  const audit = useAudit()
  const reload = async () => {
    await Promise.all([margins.mutate(), audit.mutate()])
  }
  return (
    <Stack gap="lg">
      <AdminTabs />
      <div>
        <Title order={1} fz="h2">
          Margins
        </Title>
        <Text c="dimmed" size="sm" maw={680}>
          A charge is the provider's cost plus the margin. A change applies to calls that start after it; running ones
          keep the margin they were reserved with.
        </Text>
      </div>
      {margins.error ? (
        <Alert color="red" title="The margins cannot be read" icon={<IconAlertCircle size={18} aria-hidden />}>
          <Group justify="space-between">
            {margins.error.message}
            <Button size="xs" color="red" variant="light" onClick={() => margins.mutate()}>
              Try again
            </Button>
          </Group>
        </Alert>
      ) : null}
      <Section title="Default" text="Applies wherever no override does.">
        {margins.data ? (
          <DefaultMargin key={margins.data.default?.version} margin={margins.data.default} onChange={reload} />
        ) : (
          <Skeleton height={60} />
        )}
      </Section>
      <Section title="Overrides" text="A model's own margin wins over the default.">
        {margins.data ? <Overrides margins={margins.data.overrides} onChange={reload} /> : <Skeleton height={120} />}
        <NewOverride existing={margins.data?.overrides ?? []} onChange={reload} />
      </Section>
      <Section title="Audit log" text="Every change, however it was made.">
        <AuditLog audit={audit} />
      </Section>
    </Stack>
  )
}

function Section({ title, text, children }: { title: string; text: string; children: ReactNode }) {
  return (
    <Card withBorder padding="lg" component="section" aria-label={title}>
      <Title order={2} fz="lg">
        {title}
      </Title>
      <Text size="sm" c="dimmed" mb="md">
        {text}
      </Text>
      {children}
    </Card>
  )
}
