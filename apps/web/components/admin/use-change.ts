'use client'

import { CreditError } from '@layers/credits/react'
import { useState } from 'react'
import { textOf } from '@/lib/error-text'

/** How a change ended; a conflict means that another admin was faster. */
export type ChangeOutcome = 'done' | 'conflict' | 'failed'

/** Runs a change, keeps why it was refused, and reloads what it touched. */
export function useChange(onChange: () => Promise<void>) {
  const [error, setError] = useState<string | null>(null)
  const [isBusy, setBusy] = useState(false)
  const run = async (change: () => Promise<unknown>): Promise<ChangeOutcome> => {
    setBusy(true)
    setError(null)
    try {
      await change()
      await onChange()
      return 'done'
    } catch (failure) {
      setError(refusalOf(failure))
      // The value in force belongs beside the refusal.
      if (!CreditError.isInstance(failure) || failure.code !== 'VERSION_CONFLICT') return 'failed'
      await onChange()
      return 'conflict'
    } finally {
      setBusy(false)
    }
  }
  return { run, error, isBusy }
}

function refusalOf(failure: unknown): string {
  if (!CreditError.isInstance(failure) || failure.code !== 'VERSION_CONFLICT') return textOf(failure)
  const { expected, actual } = failure.details
  const versions =
    actual === undefined ? '' : ` Version ${actual} is in force, your change was made on version ${expected}.`
  return `This was changed in the meantime, so your change is not saved.${versions} Save again to replace it.`
}
