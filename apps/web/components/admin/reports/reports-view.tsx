'use client'

import {
  Alert,
  Button,
  Card,
  Group as Row,
  SegmentedControl,
  SimpleGrid,
  Skeleton,
  Stack,
  Text,
  Title,
} from '@mantine/core'
import { IconAlertCircle } from '@tabler/icons-react'
import { type ReactNode, useState } from 'react'
import { textOf } from '@/lib/error-text'
import { formatCount, formatCreditsShort, formatMoney, formatShare } from '@/lib/format'
import { AdminTabs } from '../admin-tabs'
import { DriftTable } from './drift-table'
import { ProfitTable } from './profit-table'
import { type Group, type Totals, useDrift, useReport, useWhatIf } from './reports-api'
import { WhatIfForm } from './what-if-form'

const PERIODS = [
  { value: '1', label: 'Today' },
  { value: '7', label: '7 days' },
  { value: '30', label: '30 days' },
  { value: '90', label: '90 days' },
]

const GROUPS: { value: Group; label: string }[] = [
  { value: 'model', label: 'Model' },
  { value: 'feature', label: 'Feature' },
  { value: 'plan', label: 'Plan' },
  { value: 'day', label: 'Day' },
]

/** Midnight UTC, so many days back: today counts as one. */
function daysAgo(days: number): string {
  const now = new Date()
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() - days + 1)).toISOString()
}

/** What the calls of a period brought in and cost, what they would have under other margins, and how true the rates are. */
export function ReportsView() {
  const [days, setDays] = useState('30')
  const [group, setGroup] = useState<Group>('model')
  const [margins, setMargins] = useState<string | null>(null)
  const from = daysAgo(Number(days))
  const report = useReport(from)
  const replay = useWhatIf(from, margins)
  const drift = useDrift(from)
  const error = report.error ?? (margins === null ? undefined : replay.error) ?? drift.error
  const retry = () => {
    for (const { mutate } of [report, replay, drift]) void mutate()
  }
  return (
    <Stack gap="lg">
      <AdminTabs />
      <Row justify="space-between" align="flex-end">
        <div>
          <Title order={1} fz="h2">
            Reports
          </Title>
          <Text c="dimmed" size="sm">
            From the ledger. A credit is one cent of revenue; days are UTC.
          </Text>
        </div>
        <SegmentedControl aria-label="Period" data={PERIODS} value={days} onChange={setDays} size="sm" />
      </Row>
      {error ? (
        <Alert color="red" title="The report cannot be made" icon={<IconAlertCircle size={18} aria-hidden />}>
          <Row justify="space-between">
            {textOf(error)}
            <Button size="xs" color="red" variant="light" onClick={retry}>
              Try again
            </Button>
          </Row>
        </Alert>
      ) : null}
      <Figures totals={report.data?.total} />
      <Section title="What if" text="Replay the period under other margins.">
        <WhatIfForm
          models={Object.keys(report.data?.by.model ?? {})}
          isBusy={replay.isLoading}
          isActive={margins !== null}
          onChange={setMargins}
        />
      </Section>
      <Section
        title="Profit"
        text="What was charged and kept, against what it cost."
        control={
          <SegmentedControl
            aria-label="Broken down by"
            data={GROUPS}
            value={group}
            onChange={(value) => setGroup(value as Group)}
            size="sm"
          />
        }
      >
        {report.data ? (
          <ProfitTable
            report={report.data}
            replay={margins === null ? undefined : replay.data?.hypothetical}
            group={group}
          />
        ) : (
          <Skeleton height={160} display={report.error ? 'none' : undefined} />
        )}
      </Section>
      <Section title="Drift" text="Cost by our rates against the cost that the gateway reported; red is beyond 5 %.">
        {drift.data ? <DriftTable drift={drift.data} /> : drift.error ? null : <Skeleton height={100} />}
      </Section>
    </Stack>
  )
}

function Figures({ totals }: { totals: Totals | undefined }) {
  return (
    <SimpleGrid cols={{ base: 2, sm: 4 }} spacing="md">
      {FIGURES.map(({ label, read }) => {
        const figure = totals && read(totals)
        return (
          <Card key={label} withBorder padding="md">
            <Text size="xs" c="dimmed">
              {label}
            </Text>
            {figure ? (
              <>
                <Text fz="xl" fw={650} className="digits" lh="30px">
                  {figure[0]}
                </Text>
                <Text size="xs" c="dimmed" className="digits">
                  {figure[1]}
                </Text>
              </>
            ) : (
              <Skeleton height={48} />
            )}
          </Card>
        )
      })}
    </SimpleGrid>
  )
}

/** What is above the tables: a figure and a note on it. */
const FIGURES: { label: string; read: (totals: Totals) => [string, string] }[] = [
  { label: 'Revenue', read: ({ revenueUsd, calls }) => [formatMoney(revenueUsd), `${formatCount(calls)} calls`] },
  { label: 'Cost', read: ({ costUsd }) => [formatMoney(costUsd), 'paid to providers'] },
  {
    label: 'Profit',
    read: ({ profitUsd, profitPercent }) => [
      formatMoney(profitUsd),
      profitPercent === null ? 'nothing was paid for' : `${formatShare(profitPercent)} on cost`,
    ],
  },
  {
    label: 'Not collected',
    read: ({ uncollected, refunded }) => [
      formatCreditsShort(uncollected),
      `credits; ${formatCreditsShort(refunded)} refunded`,
    ],
  },
]

interface SectionProps {
  title: string
  text: string
  control?: ReactNode
  children: ReactNode
}

function Section({ title, text, control, children }: SectionProps) {
  return (
    <Card withBorder padding="lg" component="section" aria-label={title}>
      <Row justify="space-between" mb="md" gap="xs">
        <div>
          <Title order={2} fz="lg">
            {title}
          </Title>
          <Text size="sm" c="dimmed">
            {text}
          </Text>
        </div>
        {control}
      </Row>
      {children}
    </Card>
  )
}
