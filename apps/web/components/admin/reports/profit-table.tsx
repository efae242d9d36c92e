'use client'

import type { ProfitReportBody } from '@layers/credits/http'
import { Table, Text } from '@mantine/core'
import { formatCount, formatMoney, formatShare } from '@/lib/format'
import type { Group, Totals } from './reports-api'

interface ProfitTableProps {
  report: ProfitReportBody
  replay: ProfitReportBody | undefined
  group: Group
}

const HEADINGS: Record<Group, string> = { model: 'Model', feature: 'Feature', plan: 'Plan', day: 'Day' }

/** Revenue, cost and profit, and what they would be. */
export function ProfitTable({ report, replay, group }: ProfitTableProps) {
  const rows = Object.entries(report.by[group]).sort(group === 'day' ? byName : byRevenue)
  if (rows.length === 0) {
    return (
      <Text c="dimmed" size="sm" ta="center" py="xl">
        No calls in this period.
      </Text>
    )
  }
  return (
    <Table.ScrollContainer minWidth={replay ? 310 : 240} type="native">
      <Table verticalSpacing="sm" highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{HEADINGS[group]}</Table.Th>
            <Table.Th ta="right" visibleFrom="sm">
              Calls
            </Table.Th>
            <Table.Th ta="right" visibleFrom="sm">
              Revenue
            </Table.Th>
            <Table.Th ta="right" visibleFrom="sm">
              Cost
            </Table.Th>
            <Table.Th ta="right">Profit</Table.Th>
            <Table.Th ta="right" visibleFrom="sm">
              On cost
            </Table.Th>
            {replay ? (
              <Table.Th ta="right" visibleFrom="sm">
                Revenue would be
              </Table.Th>
            ) : null}
            {replay ? <Table.Th ta="right">Profit would be</Table.Th> : null}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map(([name, totals]) => (
            <Row key={name} name={name} totals={totals} replayed={replay && (replay.by[group][name] ?? null)} />
          ))}
        </Table.Tbody>
        <Table.Tfoot>
          <Row name="Total" totals={report.total} replayed={replay?.total} isTotal />
        </Table.Tfoot>
      </Table>
    </Table.ScrollContainer>
  )
}

interface RowProps {
  name: string
  totals: Totals
  /** Undefined: no replay. */
  replayed: Totals | null | undefined
  isTotal?: boolean
}

function Row({ name, totals, replayed, isTotal = false }: RowProps) {
  const fw = isTotal ? 650 : undefined
  return (
    <Table.Tr fw={fw} style={isTotal ? { borderTop: '2px solid var(--table-border-color)' } : undefined}>
      <Table.Td style={{ overflowWrap: 'anywhere' }}>
        <Text size="sm" fw={fw}>
          {name}
        </Text>
        <Text size="xs" c="dimmed" hiddenFrom="sm" className="digits">
          {formatMoney(totals.revenueUsd)} for {formatMoney(totals.costUsd)}
        </Text>
      </Table.Td>
      <Figure visibleFrom="sm">{formatCount(totals.calls)}</Figure>
      <Figure visibleFrom="sm">{formatMoney(totals.revenueUsd)}</Figure>
      <Figure visibleFrom="sm">{formatMoney(totals.costUsd)}</Figure>
      <Figure isLoss={totals.profitUsd.startsWith('-')}>{formatMoney(totals.profitUsd)}</Figure>
      <Figure visibleFrom="sm">{totals.profitPercent === null ? '–' : formatShare(totals.profitPercent)}</Figure>
      {replayed === undefined ? null : (
        <Figure visibleFrom="sm">{replayed ? formatMoney(replayed.revenueUsd) : '–'}</Figure>
      )}
      {replayed === undefined ? null : (
        <Figure isLoss={replayed?.profitUsd.startsWith('-')}>{replayed ? formatMoney(replayed.profitUsd) : '–'}</Figure>
      )}
    </Table.Tr>
  )
}

function Figure({
  children,
  visibleFrom,
  isLoss,
}: {
  children: string
  visibleFrom?: 'sm'
  isLoss?: boolean | undefined
}) {
  return (
    <Table.Td
      ta="right"
      className="digits"
      style={{ whiteSpace: 'nowrap' }}
      {...(visibleFrom && { visibleFrom })}
      {...(isLoss && { c: 'red' })}
    >
      {children}
    </Table.Td>
  )
}

// Only for the order on the page: the figures themselves stay strings.
function byRevenue([, a]: [string, Totals], [, b]: [string, Totals]): number {
  return Number(b.revenueUsd) - Number(a.revenueUsd)
}

function byName([a]: [string, Totals], [b]: [string, Totals]): number {
  return b.localeCompare(a)
}
