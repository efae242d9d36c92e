import { Container } from '@mantine/core'
import type { Metadata } from 'next'
import { HistoryView } from '@/components/history-view'
import { requireUser } from '@/lib/auth/session'

export const metadata: Metadata = { title: 'History' }

export default async function HistoryPage() {
  await requireUser('/history')
  return (
    <Container size="lg" w="100%" py={{ base: 24, sm: 40 }}>
      <HistoryView />
    </Container>
  )
}
