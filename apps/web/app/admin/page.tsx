import { Container } from '@mantine/core'
import type { Metadata } from 'next'
import { forbidden } from 'next/navigation'
import { AdminView } from '@/components/admin/admin-view'
import { isAdmin, requireUser } from '@/lib/auth/session'

export const metadata: Metadata = { title: 'Admin' }

export default async function AdminPage() {
  const user = await requireUser('/admin')
  if (!(await isAdmin(user))) forbidden()
  return (
    <Container size="lg" w="100%" py={{ base: 24, sm: 40 }}>
      <AdminView />
    </Container>
  )
}
