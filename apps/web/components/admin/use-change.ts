'use client'

import { CreditError } from '@layers/credits/react'
import { useState } from 'react'

/** Runs a change, remembers why it was refused, and reloads what it touched. */
export function useChange(onChange: () => Promise<void>) {
  const [error, setError] = useState<string | null>(null)
  const [isBusy, setBusy] = useState(false)
  const run = async (change: () => Promise<unknown>): Promise<boolean> => {
    setBusy(true)
    setError(null)
    try {
      await change()
      await onChange()
      return true
    } catch (failure) {
      const isConflict = CreditError.isInstance(failure) && failure.code === 'VERSION_CONFLICT'
      setError(
        isConflict
          ? 'Somebody else changed this in the meantime. The current value is shown now; look at it and try again.'
          : failure instanceof Error
            ? failure.message
            : 'This did not work.',
      )
      if (isConflict) await onChange()
      return false
    } finally {
      setBusy(false)
    }
  }
  return { run, error, isBusy }
}
