'use client'

import { Alert, Button, Center, Skeleton, Stack, Table, Text } from '@mantine/core'
import { textOf } from '@/lib/error-text'
import { formatTime } from '@/lib/format'
import type { AuditEntry, useAudit } from './admin-api'

/** Who changed which margin, newest first. */
export function AuditLog({ audit }: { audit: ReturnType<typeof useAudit> }) {
  const { data, error, isLoading, isValidating, size, setSize } = audit
  if (error) return <Alert color="red">{textOf(error)}</Alert>
  if (isLoading) {
    return (
      <Stack gap="sm" aria-busy="true" aria-label="Loading">
        {['a', 'b', 'c'].map((key) => (
          <Skeleton key={key} height={24} />
        ))}
      </Stack>
    )
  }
  const pages = data ?? []
  const entries = pages.flatMap((page) => page.data)
  if (entries.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        No change has been made yet.
      </Text>
    )
  }
  return (
    <>
      <Table verticalSpacing="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>What</Table.Th>
            <Table.Th ta="right">Change</Table.Th>
            <Table.Th visibleFrom="sm">Who</Table.Th>
            <Table.Th visibleFrom="sm">When</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {entries.map((entry) => (
            <Entry key={entry.id} entry={entry} />
          ))}
        </Table.Tbody>
      </Table>
      {pages.at(-1)?.nextCursor ? (
        <Center mt="md">
          <Button size="xs" variant="default" loading={isValidating} onClick={() => setSize(size + 1)}>
            Show more
          </Button>
        </Center>
      ) : null}
    </>
  )
}

function percent(value: string | null): string {
  return value === null ? 'none' : `${value} %`
}

function Entry({ entry }: { entry: AuditEntry }) {
  const who = entry.actorId ?? entry.actorRole
  return (
    <Table.Tr>
      <Table.Td style={{ overflowWrap: 'anywhere' }}>
        <Text size="sm">{entry.scope === 'default' ? 'Default' : entry.target}</Text>
        {entry.reason ? (
          <Text size="xs" c="dimmed">
            {entry.reason}
          </Text>
        ) : null}
        <Text size="xs" c="dimmed" hiddenFrom="sm">
          {formatTime(entry.createdAt)}
        </Text>
      </Table.Td>
      <Table.Td ta="right" className="digits" style={{ whiteSpace: 'nowrap' }}>
        {percent(entry.oldMarginPercent)} → {percent(entry.newMarginPercent)}
      </Table.Td>
      <Table.Td visibleFrom="sm">
        <Text size="xs" c="dimmed" title={who} ff={entry.actorId ? 'monospace' : 'text'}>
          {entry.actorId ? `${who.slice(0, 8)}…` : who}
        </Text>
      </Table.Td>
      <Table.Td visibleFrom="sm">
        <Text size="sm" c="dimmed">
          {formatTime(entry.createdAt)}
        </Text>
      </Table.Td>
    </Table.Tr>
  )
}
