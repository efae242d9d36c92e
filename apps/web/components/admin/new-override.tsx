'use client'

import { Button, Group, Select } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { IconPlus } from '@tabler/icons-react'
import { type FormEvent, useState } from 'react'
import { type Margin, putMargin, useRates } from './admin-api'
import { isPercent, MarginInput, Refusal } from './margin-input'
import { useChange } from './use-change'

interface NewOverrideProps {
  existing: Margin[]
  onChange: () => Promise<void>
}

/** Gives one model a margin of its own. */
export function NewOverride({ existing, onChange }: NewOverrideProps) {
  const [model, setModel] = useState<string | null>(null)
  const [search, setSearch] = useState('')
  const [value, setValue] = useState('')
  const [debounced] = useDebouncedValue(search, 200)
  const { data } = useRates(debounced === model ? '' : debounced)
  const { run, error, isBusy } = useChange(onChange)

  const taken = new Set(existing.filter(({ scope }) => scope === 'model').map(({ target }) => target))
  const found = (data?.data ?? []).map(({ modelId }) => modelId).filter((id) => !taken.has(id))
  const options = [...new Set(model ? [model, ...found] : found)]

  const submit = async (event: FormEvent) => {
    event.preventDefault()
    if (!model) return
    const outcome = await run(() => putMargin({ scope: 'model', target: model }, { marginPercent: value.trim() }))
    if (outcome === 'done') {
      setModel(null)
      setSearch('')
      setValue('')
    }
  }
  return (
    <form onSubmit={submit}>
      <Group align="flex-start" gap="sm" mt="md">
        <Select
          label="Model"
          placeholder="Search a model"
          searchable
          data={options}
          // The server has searched already.
          filter={({ options: all }) => all}
          value={model}
          onChange={setModel}
          searchValue={search}
          onSearchChange={setSearch}
          nothingFoundMessage="No such model"
          maxDropdownHeight={280}
          flex={1}
          miw={220}
        />
        <MarginInput value={value} onChange={(event) => setValue(event.currentTarget.value)} />
        <Button
          type="submit"
          mt={25}
          variant="light"
          loading={isBusy}
          disabled={!model || !isPercent(value)}
          leftSection={<IconPlus size={16} aria-hidden />}
        >
          Add
        </Button>
      </Group>
      <Refusal message={error} />
    </form>
  )
}
