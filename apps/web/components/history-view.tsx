'use client'

import { type TransactionBody, useCreditHistory, useCredits } from '@layers/credits/react'
import {
  Alert,
  Badge,
  Box,
  Button,
  Card,
  Center,
  Group,
  SegmentedControl,
  SimpleGrid,
  Skeleton,
  Stack,
  Table,
  Text,
  Title,
} from '@mantine/core'
import { IconAlertCircle, IconReceiptOff } from '@tabler/icons-react'
import { useState } from 'react'
import { textOf } from '@/lib/error-text'
import { formatChange, formatCount, formatCredits, formatTime } from '@/lib/format'

type Filter = 'all' | TransactionBody['type']

const FILTERS: { value: Filter; label: string }[] = [
  { value: 'all', label: 'All' },
  { value: 'usage', label: 'Usage' },
  { value: 'grant', label: 'Grants' },
  { value: 'refund', label: 'Refunds' },
  { value: 'adjustment', label: 'Adjustments' },
  { value: 'reversal', label: 'Reversals' },
  { value: 'expiry', label: 'Expired' },
]

const PAGE_SIZE = 20

/** Every change of the balance, newest first. */
export function HistoryView() {
  const [filter, setFilter] = useState<Filter>('all')
  const history = useCreditHistory({ limit: PAGE_SIZE, type: filter === 'all' ? undefined : filter })
  return (
    <Stack gap="lg">
      <Title order={1} fz="h2">
        History
      </Title>
      <BalanceCards />
      <Box style={{ overflowX: 'auto' }}>
        <SegmentedControl
          aria-label="Show"
          data={FILTERS}
          value={filter}
          onChange={(value) => setFilter(value as Filter)}
          size="sm"
        />
      </Box>
      <Card withBorder padding={0}>
        {history.error ? (
          <Alert color="red" m="md" icon={<IconAlertCircle size={18} aria-hidden />} title="The history cannot be read">
            <Group justify="space-between">
              {textOf(history.error)}
              <Button size="xs" variant="light" color="red" onClick={history.refresh}>
                Try again
              </Button>
            </Group>
          </Alert>
        ) : null}
        {history.isLoading ? <LoadingRows /> : null}
        {history.isLoading || history.error ? null : <Transactions transactions={history.transactions} />}
      </Card>
      <Center mih={36}>
        {history.hasMore ? (
          <Button variant="default" onClick={history.loadMore} loading={history.isLoadingMore}>
            Show more
          </Button>
        ) : null}
      </Center>
    </Stack>
  )
}

function BalanceCards() {
  const { balance } = useCredits()
  const figures = [
    { label: 'Available now', value: balance?.available },
    { label: 'Plan credits', value: balance?.planCredits },
    { label: 'Add-on credits', value: balance?.addOnCredits },
    { label: 'Reserved by running calls', value: balance?.reserved },
  ]
  return (
    <SimpleGrid component="dl" cols={{ base: 2, sm: 4 }} spacing="md" m={0}>
      {figures.map(({ label, value }) => (
        <Card key={label} withBorder padding="md">
          <Text component="dt" size="xs" c="dimmed">
            {label}
          </Text>
          {value === undefined ? (
            <Skeleton component="dd" height={24} width={80} mt={6} ml={0} />
          ) : (
            <Text component="dd" ml={0} fz="xl" fw={650} className="digits" mt={2} lh="28px">
              {formatCredits(value)}
            </Text>
          )}
        </Card>
      ))}
    </SimpleGrid>
  )
}

function LoadingRows() {
  return (
    <Stack p="md" gap="md" aria-busy="true" aria-label="Loading">
      {['a', 'b', 'c', 'd', 'e'].map((key) => (
        <Skeleton key={key} height={28} />
      ))}
    </Stack>
  )
}

function Transactions({ transactions }: { transactions: TransactionBody[] }) {
  if (transactions.length === 0) {
    return (
      <Stack align="center" py={56} gap="xs" c="dimmed">
        <IconReceiptOff size={36} stroke={1.5} aria-hidden />
        <Text>Nothing here yet.</Text>
      </Stack>
    )
  }
  return (
    <Table.ScrollContainer minWidth={300} type="native">
      <Table verticalSpacing="sm" horizontalSpacing="md" highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>What</Table.Th>
            <Table.Th visibleFrom="md">Tokens in / out</Table.Th>
            <Table.Th visibleFrom="sm">When</Table.Th>
            <Table.Th ta="right">Credits</Table.Th>
            <Table.Th ta="right" visibleFrom="xs">
              Balance
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {transactions.map((transaction) => (
            <TransactionRow key={transaction.id} transaction={transaction} />
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}

const LABELS: Record<TransactionBody['type'], { text: string; color: string }> = {
  grant: { text: 'Grant', color: 'teal' },
  usage: { text: 'Usage', color: 'violet' },
  refund: { text: 'Refund', color: 'teal' },
  adjustment: { text: 'Adjustment', color: 'blue' },
  reversal: { text: 'Reversal', color: 'orange' },
  expiry: { text: 'Expired', color: 'gray' },
}

function TransactionRow({ transaction }: { transaction: TransactionBody }) {
  const { type, model, feature, source, amount, balanceAfter, createdAt, inputTokens, outputTokens, estimated } =
    transaction
  const label = LABELS[type]
  const isTaken = amount.startsWith('-')
  const notes = [model && feature, estimated && 'estimated'].filter(Boolean)
  return (
    <Table.Tr>
      <Table.Td>
        <Group gap="xs" wrap="nowrap">
          <Badge variant="light" color={label.color} style={{ flexShrink: 0 }} visibleFrom="xs">
            {label.text}
          </Badge>
          <div>
            <Text size="sm">{model ?? sourceLabel(source) ?? label.text}</Text>
            <Text size="xs" c="dimmed">
              <Text span inherit hiddenFrom="sm">
                {[formatTime(createdAt), ...notes].join(' · ')}
              </Text>
              <Text span inherit visibleFrom="sm">
                {notes.join(' · ')}
              </Text>
            </Text>
          </div>
        </Group>
      </Table.Td>
      <Table.Td visibleFrom="md" className="digits">
        <Text size="sm" c="dimmed">
          {inputTokens === null && outputTokens === null
            ? '–'
            : `${formatCount(inputTokens ?? 0)} / ${formatCount(outputTokens ?? 0)}`}
        </Text>
      </Table.Td>
      <Table.Td visibleFrom="sm">
        <Text size="sm" c="dimmed">
          {formatTime(createdAt)}
        </Text>
      </Table.Td>
      <Table.Td ta="right" className="digits">
        <Text size="sm" fw={600} c={isTaken ? 'inherit' : 'teal'}>
          {formatChange(amount)}
        </Text>
      </Table.Td>
      <Table.Td ta="right" className="digits" visibleFrom="xs">
        <Text size="sm">{formatCredits(balanceAfter)}</Text>
      </Table.Td>
    </Table.Tr>
  )
}

function sourceLabel(source: string | null): string | null {
  return source === 'signup' ? 'Welcome credits' : source === 'plan' ? 'Monthly plan credits' : source
}
