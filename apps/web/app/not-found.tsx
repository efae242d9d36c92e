import type { Metadata } from 'next'
import { MessagePage } from '@/components/message-page'

export const metadata: Metadata = { title: 'Not found' }

export default function NotFound() {
  return <MessagePage title="There is nothing here" text="The page was moved, or it never existed." />
}
