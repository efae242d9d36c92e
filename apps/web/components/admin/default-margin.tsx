'use client'

import { Button, Group, Text, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { type Margin, putMargin } from './admin-api'
import { isLargeChange, isPercent, MarginInput, Refusal } from './margin-input'
import { useChange } from './use-change'

interface DefaultMarginProps {
  /** Null in a database that was never seeded. */
  margin: Margin | null
  onChange: () => Promise<void>
}

/** What was typed, and the version that was on the screen then. It stays when another admin's change arrives. */
interface Draft {
  value: string
  /** Undefined after a conflict was shown: the next attempt is made on the version in force. */
  version: number | undefined
}

/** The margin of everything that has none of its own. */
export function DefaultMargin({ margin, onChange }: DefaultMarginProps) {
  const [draft, setDraft] = useState<Draft | null>(null)
  const [reason, setReason] = useState('')
  const [isConfirming, setConfirming] = useState(false)
  const { run, error, isBusy } = useChange(onChange)
  const current = margin?.marginPercent ?? ''
  const value = draft?.value ?? current

  const save = async () => {
    setConfirming(false)
    const expectedVersion = draft?.version ?? margin?.version ?? 0
    const body = { marginPercent: value.trim(), expectedVersion }
    const change = { ...body, ...(reason.trim() ? { reason: reason.trim() } : {}) }
    const outcome = await run(() => putMargin({ scope: 'default', target: '' }, change))
    if (outcome === 'conflict') setDraft({ value, version: undefined })
    if (outcome !== 'done') return
    setDraft(null)
    setReason('')
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (!isConfirming && isLargeChange(current, value)) setConfirming(true)
    else void save()
  }
  return (
    <form onSubmit={submit}>
      <Group align="flex-start" gap="sm">
        <MarginInput
          value={value}
          onChange={(event) => {
            setDraft({ value: event.currentTarget.value, version: draft ? draft.version : margin?.version })
            setConfirming(false)
          }}
        />
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
          {...(isConfirming && { color: 'red' })}
          disabled={!isPercent(value) || value.trim() === current}
        >
          {isConfirming ? `Set it to ${value.trim()} %` : 'Save'}
        </Button>
      </Group>
      {isConfirming ? (
        <Text size="sm" role="alert" mt="xs">
          This changes the default from {current} % to {value.trim()} % for every call from now on.
        </Text>
      ) : null}
      <Refusal message={error} />
    </form>
  )
}
