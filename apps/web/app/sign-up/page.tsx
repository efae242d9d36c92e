import type { Metadata } from 'next'
import { redirect } from 'next/navigation'
import { AuthForm } from '@/components/auth-form'
import { safeNextPath } from '@/lib/auth/next-path'
import { enabledProviders } from '@/lib/auth/oauth'
import { currentUser } from '@/lib/auth/session'

export const metadata: Metadata = { title: 'Sign up' }

export default async function SignUpPage({ searchParams }: PageProps<'/sign-up'>) {
  const { next } = await searchParams
  const nextPath = safeNextPath(next)
  if (await currentUser()) redirect(nextPath)
  return <AuthForm mode="sign-up" nextPath={nextPath} providers={enabledProviders()} />
}
