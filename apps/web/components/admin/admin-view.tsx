'use client'

import { Alert, Button, Card, Group, Skeleton, Stack, Table, Text, Title } from '@mantine/core'
import { IconAlertCircle } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import { textOf } from '@/lib/error-text'
import { formatTime } from '@/lib/format'
import { type Margin, useAudit, useMargins } from './admin-api'
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
            {textOf(margins.error)}
            <Button size="xs" color="red" variant="light" onClick={() => margins.mutate()}>
              Try again
            </Button>
          </Group>
        </Alert>
      ) : null}
      <Section title="Default" text="Applies where no override does.">
        {margins.data ? <DefaultMargin margin={margins.data.default} onChange={reload} /> : <Skeleton height={60} />}
      </Section>
      <Section title="Overrides" text="A model's own margin wins over the default.">
        {margins.data ? <Overrides margins={margins.data.overrides} onChange={reload} /> : <Skeleton height={120} />}
        <NewOverride existing={margins.data?.overrides ?? []} onChange={reload} />
      </Section>
      {margins.data && margins.data.scheduled.length > 0 ? (
        <Section title="Scheduled" text="These margins replace the ones above at their time.">
          <Scheduled margins={margins.data.scheduled} />
        </Section>
      ) : null}
      <Section title="Audit log" text="Every change, also those made in the database.">
        <AuditLog audit={audit} />
      </Section>
    </Stack>
  )
}

function Scheduled({ margins }: { margins: Margin[] }) {
  return (
    <Table verticalSpacing="xs">
      <Table.Thead>
        <Table.Tr>
          <Table.Th>For</Table.Th>
          <Table.Th>From</Table.Th>
          <Table.Th ta="right">Margin</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {margins.map((margin) => (
          <Table.Tr key={margin.id}>
            <Table.Td style={{ overflowWrap: 'anywhere' }}>
              {margin.scope === 'default' ? 'Default' : margin.target}
            </Table.Td>
            <Table.Td>{formatTime(margin.effectiveFrom)}</Table.Td>
            <Table.Td ta="right" className="digits">
              {margin.marginPercent === null ? 'none' : `${margin.marginPercent} %`}
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
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
