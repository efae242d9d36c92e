'use client'

import { Autocomplete, Button, Group, Text } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { isPercent, MarginInput } from '../margin-input'

interface WhatIfFormProps {
  models: string[]
  isBusy: boolean
  isActive: boolean
  /** In the form of the API's `margins`; null ends the replay. */
  onChange: (margins: string | null) => void
}

/** Other margins to replay the period under: a default, and one of a model. */
export function WhatIfForm({ models, isBusy, isActive, onChange }: WhatIfFormProps) {
  const [margin, setMargin] = useState('')
  const [model, setModel] = useState('')
  const [modelMargin, setModelMargin] = useState('')
  const hasModel = model.trim() !== '' && isPercent(modelMargin)
  const isReady = hasModel ? margin === '' || isPercent(margin) : isPercent(margin) && model.trim() === ''
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const parts = [
      ...(margin === '' ? [] : [`default=${margin.trim()}`]),
      ...(hasModel ? [`model:${model.trim()}=${modelMargin.trim()}`] : []),
    ]
    onChange(parts.join(','))
  }
  const clear = () => {
    setMargin('')
    setModel('')
    setModelMargin('')
    onChange(null)
  }
  return (
    <form onSubmit={submit}>
      <Group align="flex-end" gap="sm">
        <MarginInput label="Default margin" value={margin} onChange={(event) => setMargin(event.currentTarget.value)} />
        <Autocomplete
          label="Model"
          placeholder="Any"
          data={models}
          value={model}
          onChange={setModel}
          w={{ base: '100%', xs: 280 }}
        />
        <MarginInput
          label="Its margin"
          value={modelMargin}
          onChange={(event) => setModelMargin(event.currentTarget.value)}
        />
        <Button type="submit" disabled={!isReady} loading={isBusy}>
          Replay
        </Button>
        {isActive ? (
          <Button variant="default" onClick={clear}>
            Clear
          </Button>
        ) : null}
      </Group>
      <Text size="xs" c="dimmed" mt="xs">
        Nothing is changed: every call of the period is priced again, with its own usage.
      </Text>
    </form>
  )
}
