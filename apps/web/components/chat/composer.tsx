'use client'

import { ActionIcon, Group, Select, Textarea } from '@mantine/core'
import { IconArrowUp, IconPlayerStopFilled } from '@tabler/icons-react'
import { type KeyboardEvent, useMemo, useState } from 'react'
import type { ModelChoice } from '@/lib/models'
import classes from './chat.module.css'

interface ComposerProps {
  models: ModelChoice[]
  model: string
  onModelChange: (model: string) => void
  onSend: (text: string) => void
  onStop: () => void
  isBusy: boolean
}

/** Where the question is written and the model chosen. Enter sends, Shift+Enter breaks the line. */
export function Composer({ models, model, onModelChange, onSend, onStop, isBusy }: ComposerProps) {
  const [text, setText] = useState('')
  const groups = useMemo(() => groupByProvider(models), [models])

  const send = () => {
    const question = text.trim()
    if (!question || isBusy) return
    setText('')
    onSend(question)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    // While an input method composes, Enter picks a character.
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return
    event.preventDefault()
    send()
  }

  return (
    <div className={classes.box}>
      <Textarea
        aria-label="Your question"
        placeholder="Ask anything"
        variant="unstyled"
        px="xs"
        autosize
        minRows={1}
        maxRows={8}
        maxLength={20_000}
        autoFocus
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        onKeyDown={onKeyDown}
      />
      <Group justify="space-between" wrap="nowrap">
        <Select
          aria-label="Model"
          data={groups}
          value={model}
          onChange={(value) => value && onModelChange(value)}
          searchable
          allowDeselect={false}
          limit={60}
          maxDropdownHeight={320}
          nothingFoundMessage="No model of this name has a price"
          size="xs"
          w={{ base: 210, xs: 260 }}
          variant="filled"
          comboboxProps={{ width: 300, position: 'top-start' }}
        />
        {isBusy ? (
          <ActionIcon size="lg" radius="xl" variant="default" onClick={onStop} aria-label="Stop">
            <IconPlayerStopFilled size={16} aria-hidden />
          </ActionIcon>
        ) : (
          <ActionIcon size="lg" radius="xl" onClick={send} disabled={!text.trim()} aria-label="Send">
            <IconArrowUp size={18} aria-hidden />
          </ActionIcon>
        )}
      </Group>
    </div>
  )
}

function groupByProvider(models: ModelChoice[]): { group: string; items: string[] }[] {
  const groups = new Map<string, string[]>()
  for (const { id, provider } of models) groups.set(provider, [...(groups.get(provider) ?? []), id])
  return [...groups].map(([group, items]) => ({ group, items }))
}
