'use client'

import { Button } from '@mantine/core'
import { MessagePage } from '@/components/message-page'

export default function ErrorPage({ reset }: { error: Error; reset: () => void }) {
  return (
    <MessagePage
      title="This page cannot be shown now"
      text="Something we depend on did not answer. Nothing was charged. Try again in a moment."
      action={<Button onClick={reset}>Try again</Button>}
    />
  )
}
