import type { Metadata } from 'next'
import { redirect } from 'next/navigation'
import { AuthForm } from '@/components/auth-form'
import { safeNextPath } from '@/lib/auth/next-path'
import { enabledProviders } from '@/lib/auth/oauth'
import { currentUser } from '@/lib/auth/session'

export const metadata: Metadata = { title: 'Sign in' }

export default async function SignInPage({ searchParams }: PageProps<'/sign-in'>) {
  const { next, error } = await searchParams
  const nextPath = safeNextPath(next)
  if (await currentUser()) redirect(nextPath)
  return (
    <AuthForm mode="sign-in" nextPath={nextPath} providers={enabledProviders()} callbackFailed={error === 'callback'} />
  )
}
