import type { Metadata } from 'next'
import { MessagePage } from '@/components/message-page'

export const metadata: Metadata = { title: 'Admins only' }

export default function Forbidden() {
  return <MessagePage title="Admins only" text="Your account may not see this page." />
}
