'use client'

import { ActionIcon, Group, Select, Text, Textarea } from '@mantine/core'
import { IconArrowUp, IconPlayerStopFilled } from '@tabler/icons-react'
import { type KeyboardEvent, type RefObject, useMemo, useRef, useState } from 'react'
import type { ModelChoice } from '@/lib/chat/models'
import { formatCount } from '@/lib/format'
import classes from './chat.module.css'

const MAX_LENGTH = 20_000
/** From here on the length is shown. */
const LONG_LENGTH = 18_000
/** Stop replaces Send in the same place: the second click of a double click must not stop the question. */
const DOUBLE_CLICK_MS = 500

interface ComposerProps {
  models: ModelChoice[]
  model: string
  onModelChange: (model: string) => void
  onSend: (text: string) => void
  onStop: () => void
  isBusy: boolean
  /** The text field, for the page to give it the focus. */
  fieldRef: RefObject<HTMLTextAreaElement | null>
}

/** Where the question is written and the model chosen. Enter sends, Shift+Enter breaks the line, Escape stops. */
export function Composer({ models, model, onModelChange, onSend, onStop, isBusy, fieldRef }: ComposerProps) {
  const [text, setText] = useState('')
  const sentAt = useRef(0)
  const groups = useMemo(() => groupByProvider(models), [models])
  const isTooLong = text.length > MAX_LENGTH

  const send = () => {
    const question = text.trim()
    if (!question || isBusy || isTooLong) return
    sentAt.current = Date.now()
    setText('')
    onSend(question)
  }
  const stop = () => {
    if (Date.now() - sentAt.current >= DOUBLE_CLICK_MS) onStop()
  }
  const onKeyDown = (event: KeyboardEvent) => {
    // While an input method composes, Enter picks a character.
    if (event.nativeEvent.isComposing) return
    if (event.key === 'Escape' && isBusy) stop()
    if (event.key !== 'Enter' || event.shiftKey) return
    event.preventDefault()
    send()
  }

  return (
    <div className={classes.box}>
      <Textarea
        ref={fieldRef}
        aria-label="Your question"
        placeholder="Ask anything"
        variant="unstyled"
        px="xs"
        autosize
        minRows={1}
        maxRows={8}
        autoFocus
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        onKeyDown={onKeyDown}
        error={isTooLong ? `The question may have ${formatCount(MAX_LENGTH)} characters` : undefined}
      />
      <Group justify="space-between" wrap="nowrap">
        <Select
          aria-label="Model"
          data={groups}
          value={model}
          onChange={(value) => value && onModelChange(value)}
          searchable
          allowDeselect={false}
          maxDropdownHeight={320}
          nothingFoundMessage="No model of this name has a price"
          size="xs"
          w={{ base: 210, xs: 260 }}
          variant="filled"
          comboboxProps={{ width: 300, position: 'top-start' }}
        />
        <Group gap="xs" wrap="nowrap">
          {text.length > LONG_LENGTH ? (
            <Text size="xs" c="dimmed" className="digits" aria-live="polite">
              {formatCount(text.length)} / {formatCount(MAX_LENGTH)}
            </Text>
          ) : null}
          {isBusy ? (
            <ActionIcon size="lg" radius="xl" variant="default" onClick={stop} aria-label="Stop">
              <IconPlayerStopFilled size={16} aria-hidden />
            </ActionIcon>
          ) : (
            <ActionIcon size="lg" radius="xl" onClick={send} disabled={!text.trim() || isTooLong} aria-label="Send">
              <IconArrowUp size={18} aria-hidden />
            </ActionIcon>
          )}
        </Group>
      </Group>
    </div>
  )
}

function groupByProvider(models: ModelChoice[]): { group: string; items: string[] }[] {
  const groups = new Map<string, string[]>()
  for (const { id, provider } of models) groups.set(provider, [...(groups.get(provider) ?? []), id])
  return [...groups].map(([group, items]) => ({ group, items }))
}
