'use client'

import { useLocalStorage } from '@mantine/hooks'
import type { ModelChoice } from '@/lib/chat/models'

/** The model of the next question. The choice is remembered in this browser, as long as the model has a price. */
export function useModelChoice(models: ModelChoice[], defaultModel: string): [string, (model: string) => void] {
  const [remembered, remember] = useLocalStorage<string | null>({ key: 'chat-model', defaultValue: null })
  const isOffered = remembered !== null && models.some(({ id }) => id === remembered)
  return [isOffered ? remembered : defaultModel, remember]
}
