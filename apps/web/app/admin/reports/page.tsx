import { Container } from '@mantine/core'
import type { Metadata } from 'next'
import { forbidden } from 'next/navigation'
import { ReportsView } from '@/components/admin/reports/reports-view'
import { isAdmin, requireUser } from '@/lib/auth/session'

export const metadata: Metadata = { title: 'Reports' }

export default async function ReportsPage() {
  const user = await requireUser('/admin/reports')
  if (!(await isAdmin(user))) forbidden()
  return (
    <Container size="lg" w="100%" py={{ base: 24, sm: 40 }}>
      <ReportsView />
    </Container>
  )
}
