'use client'

import { Button, Group, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { type Margin, putMargin } from './admin-api'
import { isPercent, MarginInput, Refusal } from './margin-input'
import { useChange } from './use-change'

interface DefaultMarginProps {
  /** Null in a database that was never seeded. */
  margin: Margin | null
  onChange: () => Promise<void>
}

/** The margin of everything that has none of its own. */
export function DefaultMargin({ margin, onChange }: DefaultMarginProps) {
  const [value, setValue] = useState(margin?.marginPercent ?? '')
  const [reason, setReason] = useState('')
  const { run, error, isBusy } = useChange(onChange)
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const expectedVersion = margin?.version ?? 0
    void run(() =>
      putMargin(
        { scope: 'default', target: '' },
        { marginPercent: value.trim(), expectedVersion, ...(reason.trim() ? { reason: reason.trim() } : {}) },
      ),
    )
  }
  return (
    <form onSubmit={submit}>
      <Group align="flex-start" gap="sm">
        <MarginInput value={value} onChange={(event) => setValue(event.currentTarget.value)} />
        <TextInput
          label="Reason"
          placeholder="Optional, for the audit log"
          maxLength={500}
          flex={1}
          miw={200}
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
        />
        <Button
          type="submit"
          mt={25}
          loading={isBusy}
          disabled={!isPercent(value) || value.trim() === margin?.marginPercent}
        >
          Save
        </Button>
      </Group>
      <Refusal message={error} />
    </form>
  )
}
