'use client'

import { Button } from '@mantine/core'
import { MessagePage } from '@/components/message-page'

/** `retry` asks the server for the page again; `reset` would only render the same failure once more. */
export default function ErrorPage({ retry }: { error: Error; retry: () => void }) {
  return (
    <MessagePage
      title="This page cannot be shown now"
      text="A service behind this app did not answer. Try again in a moment."
      action={<Button onClick={retry}>Try again</Button>}
    />
  )
}
