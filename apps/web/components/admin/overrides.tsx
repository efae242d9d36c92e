'use client'

import { ActionIcon, Button, Group, Stack, Table, Text, VisuallyHidden } from '@mantine/core'
import { IconPencil, IconTrash } from '@tabler/icons-react'
import { type FormEvent, useState } from 'react'
import { Dialog } from '../dialog'
import { deleteMargin, type Margin, putMargin } from './admin-api'
import { isPercent, MarginInput, Refusal } from './margin-input'
import { useChange } from './use-change'

interface OverridesProps {
  margins: Margin[]
  onChange: () => Promise<void>
}

/** Margins of single models, providers, features and plans. */
export function Overrides({ margins, onChange }: OverridesProps) {
  const [editedId, setEdited] = useState<string | null>(null)
  const [removedId, setRemoved] = useState<string | null>(null)
  // Looked up anew after each reload: a second attempt is then made on the version in force.
  const edited = margins.find((margin) => keyOf(margin) === editedId) ?? null
  const removed = margins.find((margin) => keyOf(margin) === removedId) ?? null
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
            <Table.Th w={90}>
              <VisuallyHidden>Actions</VisuallyHidden>
            </Table.Th>
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
                    onClick={() => setEdited(keyOf(margin))}
                  >
                    <IconPencil size={16} aria-hidden />
                  </ActionIcon>
                  <ActionIcon
                    variant="subtle"
                    color="red"
                    aria-label={`Remove the margin of ${margin.target}`}
                    onClick={() => setRemoved(keyOf(margin))}
                  >
                    <IconTrash size={16} aria-hidden />
                  </ActionIcon>
                </Group>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <Dialog opened={edited !== null} onClose={() => setEdited(null)} title={edited?.target}>
        {edited ? <EditForm margin={edited} onChange={onChange} onDone={() => setEdited(null)} /> : null}
      </Dialog>
      <Dialog opened={removed !== null} onClose={() => setRemoved(null)} title="Remove this override?">
        {removed ? <RemoveForm margin={removed} onChange={onChange} onDone={() => setRemoved(null)} /> : null}
      </Dialog>
    </>
  )
}

/** Stays the same over all versions of an override. */
function keyOf({ scope, target }: Margin): string {
  return `${scope}:${target}`
}

interface FormProps {
  margin: Margin
  onChange: () => Promise<void>
  onDone: () => void
}

function EditForm({ margin, onChange, onDone }: FormProps) {
  const [value, setValue] = useState(margin.marginPercent ?? '')
  // The version that was on the screen when the dialog opened; undefined after a conflict was shown.
  const [version, setVersion] = useState<number | undefined>(margin.version)
  const { run, error, isBusy } = useChange(onChange)
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    const body = { marginPercent: value.trim(), expectedVersion: version ?? margin.version }
    const outcome = await run(() => putMargin(margin, body))
    if (outcome === 'conflict') setVersion(undefined)
    if (outcome === 'done') onDone()
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
    if ((await run(() => deleteMargin(margin))) === 'done') onDone()
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
