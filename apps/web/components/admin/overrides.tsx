'use client'

import { ActionIcon, Button, Group, Modal, Stack, Table, Text } from '@mantine/core'
import { IconPencil, IconTrash } from '@tabler/icons-react'
import { type FormEvent, useState } from 'react'
import { deleteMargin, type Margin, putMargin } from './admin-api'
import { isPercent, MarginInput, Refusal } from './margin-input'
import { useChange } from './use-change'

interface OverridesProps {
  margins: Margin[]
  onChange: () => Promise<void>
}

/** Margins of single models, providers, features and plans. */
export function Overrides({ margins, onChange }: OverridesProps) {
  const [edited, setEdited] = useState<Margin | null>(null)
  const [removed, setRemoved] = useState<Margin | null>(null)
  if (margins.length === 0) {
    return (
      <Text size="sm" c="dimmed" py="md">
        There are no overrides: everything has the default margin.
      </Text>
    )
  }
  return (
    <>
      <Table verticalSpacing="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>For</Table.Th>
            <Table.Th ta="right">Margin</Table.Th>
            <Table.Th w={90} />
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {margins.map((margin) => (
            <Table.Tr key={margin.id}>
              <Table.Td style={{ overflowWrap: 'anywhere' }}>
                {margin.target}
                {margin.scope === 'model' ? null : (
                  <Text span size="xs" c="dimmed">
                    {' '}
                    ({margin.scope})
                  </Text>
                )}
              </Table.Td>
              <Table.Td ta="right" className="digits">
                {margin.marginPercent} %
              </Table.Td>
              <Table.Td>
                <Group gap={4} justify="flex-end" wrap="nowrap">
                  <ActionIcon
                    variant="subtle"
                    color="gray"
                    aria-label={`Change the margin of ${margin.target}`}
                    onClick={() => setEdited(margin)}
                  >
                    <IconPencil size={16} aria-hidden />
                  </ActionIcon>
                  <ActionIcon
                    variant="subtle"
                    color="red"
                    aria-label={`Remove the margin of ${margin.target}`}
                    onClick={() => setRemoved(margin)}
                  >
                    <IconTrash size={16} aria-hidden />
                  </ActionIcon>
                </Group>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <Modal opened={edited !== null} onClose={() => setEdited(null)} title={edited?.target} centered>
        {edited ? <EditForm margin={edited} onChange={onChange} onDone={() => setEdited(null)} /> : null}
      </Modal>
      <Modal opened={removed !== null} onClose={() => setRemoved(null)} title="Remove this override?" centered>
        {removed ? <RemoveForm margin={removed} onChange={onChange} onDone={() => setRemoved(null)} /> : null}
      </Modal>
    </>
  )
}

interface FormProps {
  margin: Margin
  onChange: () => Promise<void>
  onDone: () => void
}

function EditForm({ margin, onChange, onDone }: FormProps) {
  const [value, setValue] = useState(margin.marginPercent ?? '')
  const { run, error, isBusy } = useChange(onChange)
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    const body = { marginPercent: value.trim(), expectedVersion: margin.version }
    if (await run(() => putMargin(margin, body))) onDone()
  }
  return (
    <form onSubmit={submit}>
      <MarginInput value={value} w="100%" data-autofocus onChange={(event) => setValue(event.currentTarget.value)} />
      <Refusal message={error} />
      <Group justify="flex-end" mt="md">
        <Button variant="default" onClick={onDone}>
          Cancel
        </Button>
        <Button type="submit" loading={isBusy} disabled={!isPercent(value)}>
          Save
        </Button>
      </Group>
    </form>
  )
}

function RemoveForm({ margin, onChange, onDone }: FormProps) {
  const { run, error, isBusy } = useChange(onChange)
  const remove = async () => {
    if (await run(() => deleteMargin(margin))) onDone()
  }
  return (
    <Stack>
      <Text size="sm">
        {margin.target} will have the next wider margin again, from the next call on. The audit log keeps what it was.
      </Text>
      <Refusal message={error} />
      <Group justify="flex-end">
        <Button variant="default" onClick={onDone}>
          Cancel
        </Button>
        <Button color="red" loading={isBusy} onClick={remove} data-autofocus>
          Remove
        </Button>
      </Group>
    </Stack>
  )
}
