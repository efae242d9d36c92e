'use client'

import type { DriftBody } from '@layers/credits/http'
import { Badge, Table, Text } from '@mantine/core'
import { formatCount, formatMoney, formatShare } from '@/lib/format'

const MOST_ROWS = 15

/** How far our rates are from what was reported, furthest first. */
export function DriftTable({ drift }: { drift: DriftBody }) {
  const { rows, notCompared } = drift
  const note =
    notCompared === 0 ? '' : `${formatCount(notCompared)} calls know only one of the two figures and are left out.`
  return (
    <>
      {rows.length === 0 ? null : (
        <Table verticalSpacing="xs">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Model and day</Table.Th>
              <Table.Th ta="right" visibleFrom="sm">
                Calls
              </Table.Th>
              <Table.Th ta="right" visibleFrom="sm">
                Computed
              </Table.Th>
              <Table.Th ta="right" visibleFrom="sm">
                Reported
              </Table.Th>
              <Table.Th ta="right">Drift</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.slice(0, MOST_ROWS).map((row) => (
              <DriftRow key={`${row.day} ${row.model}`} row={row} />
            ))}
          </Table.Tbody>
        </Table>
      )}
      <Text size="sm" c="dimmed" mt={rows.length === 0 ? 0 : 'sm'}>
        {rows.length === 0 ? 'No call of this period has both figures. ' : null}
        {rows.length > MOST_ROWS ? `The ${MOST_ROWS} furthest of ${formatCount(rows.length)}. ` : null}
        {note}
      </Text>
    </>
  )
}

function DriftRow({ row }: { row: DriftBody['rows'][number] }) {
  const { model, day, calls, computedUsd, reportedUsd, driftPercent, alert } = row
  return (
    <Table.Tr>
      <Table.Td style={{ overflowWrap: 'anywhere' }}>
        <Text size="sm">{model}</Text>
        <Text size="xs" c="dimmed">
          {day}
        </Text>
      </Table.Td>
      <Table.Td ta="right" className="digits" visibleFrom="sm">
        {formatCount(calls)}
      </Table.Td>
      <Table.Td ta="right" className="digits" visibleFrom="sm">
        {formatMoney(computedUsd)}
      </Table.Td>
      <Table.Td ta="right" className="digits" visibleFrom="sm">
        {formatMoney(reportedUsd)}
      </Table.Td>
      <Table.Td ta="right" className="digits">
        <Badge variant="light" color={alert ? 'red' : 'gray'}>
          {driftPercent === null ? 'no price' : formatShare(driftPercent, 'exceptZero')}
        </Badge>
      </Table.Td>
    </Table.Tr>
  )
}
