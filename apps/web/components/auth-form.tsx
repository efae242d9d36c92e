'use client'

import { fetchJson } from '@layers/credits/react'
import {
  Alert,
  Anchor,
  Button,
  Card,
  Container,
  Divider,
  PasswordInput,
  Stack,
  Text,
  TextInput,
  Title,
} from '@mantine/core'
import { IconAlertCircle, IconBrandGithub, IconBrandGoogle, IconMailCheck } from '@tabler/icons-react'
import Link from 'next/link'
import { type FormEvent, useState } from 'react'
import type { OAuthProvider } from '@/lib/auth/oauth'
import { textOf } from '@/lib/error-text'

interface AuthFormProps {
  mode: 'sign-in' | 'sign-up'
  /** A path of this app. */
  nextPath: string
  providers: OAuthProvider[]
  /** The browser just came back from a provider, without a session. */
  callbackFailed?: boolean
}

const TEXTS = {
  'sign-in': { title: 'Welcome back', submit: 'Sign in', other: 'No account yet?', otherLink: 'Sign up' },
  'sign-up': { title: 'Create your account', submit: 'Sign up', other: 'You have an account?', otherLink: 'Sign in' },
}

/** Sends the form; leaves the page once there is a session. */
function useCredentials({ mode, nextPath, callbackFailed }: AuthFormProps) {
  const [error, setError] = useState(callbackFailed ? 'The sign-in did not work. Try again.' : null)
  const [isBusy, setBusy] = useState(false)
  const [mailSentTo, setMailSentTo] = useState<string | null>(null)

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const email = String(form.get('email')).trim()
    setBusy(true)
    setError(null)
    try {
      const body = { email, password: form.get('password') }
      const answer = await fetchJson<{ confirmationNeeded?: boolean }>(`/api/auth/${mode}`, { method: 'POST', body })
      // A full load, so that every part of the page sees the new session.
      if (!answer.confirmationNeeded) return window.location.assign(nextPath)
      setMailSentTo(email)
    } catch (failure) {
      setError(textOf(failure))
    }
    setBusy(false)
  }
  return { submit, error, isBusy, mailSentTo }
}

/** Sign-in and sign-up are one form: both ask for the same two things. */
export function AuthForm(props: AuthFormProps) {
  const { mode, nextPath, providers } = props
  const texts = TEXTS[mode]
  const { submit, error, isBusy, mailSentTo } = useCredentials(props)
  if (mailSentTo) return <MailSent email={mailSentTo} />
  return (
    <Container size={440} w="100%" py={{ base: 32, sm: 72 }}>
      <Card withBorder padding="xl" radius="lg" shadow="sm">
        <Title order={1} fz="h2" ta="center">
          {texts.title}
        </Title>
        <Text c="dimmed" size="sm" ta="center" mt={6}>
          {mode === 'sign-up' ? 'It comes with free credits. No card needed.' : 'Your credits are waiting.'}
        </Text>
        <ProviderButtons providers={providers} nextPath={nextPath} />
        <form onSubmit={submit} method="post">
          <Stack mt="lg" gap="md">
            <TextInput
              label="E-mail"
              name="email"
              type="email"
              autoComplete="email"
              required
              withAsterisk={false}
              maxLength={254}
            />
            <PasswordInput
              label="Password"
              name="password"
              autoComplete={mode === 'sign-up' ? 'new-password' : 'current-password'}
              description={mode === 'sign-up' ? 'At least 8 characters' : undefined}
              minLength={mode === 'sign-up' ? 8 : undefined}
              required
              withAsterisk={false}
            />
            {error ? (
              <Alert color="red" variant="light" icon={<IconAlertCircle size={18} aria-hidden />} role="alert">
                {error}
              </Alert>
            ) : null}
            <Button type="submit" loading={isBusy} fullWidth>
              {texts.submit}
            </Button>
          </Stack>
        </form>
        <Text size="sm" ta="center" mt="lg" c="dimmed">
          {texts.other}{' '}
          <Anchor
            component={Link}
            underline="always"
            href={`/${mode === 'sign-in' ? 'sign-up' : 'sign-in'}?next=${encodeURIComponent(nextPath)}`}
          >
            {texts.otherLink}
          </Anchor>
        </Text>
      </Card>
    </Container>
  )
}

function MailSent({ email }: { email: string }) {
  return (
    <Container size={440} w="100%" py={{ base: 32, sm: 72 }}>
      <Alert icon={<IconMailCheck size={20} aria-hidden />} title="Look into your mailbox" color="teal">
        If {email} has no account yet, a link is on its way to it: open the link to finish signing up. With an account,{' '}
        <Anchor component={Link} href="/sign-in" underline="always">
          sign in
        </Anchor>{' '}
        instead.
      </Alert>
    </Container>
  )
}

const PROVIDERS = {
  google: { label: 'Continue with Google', icon: IconBrandGoogle },
  github: { label: 'Continue with GitHub', icon: IconBrandGithub },
}

function ProviderButtons({ providers, nextPath }: { providers: OAuthProvider[]; nextPath: string }) {
  if (providers.length === 0) return null
  return (
    <form action="/auth/oauth" method="post">
      <input type="hidden" name="next" value={nextPath} />
      <Stack mt="lg" gap="sm">
        {providers.map((provider) => {
          const { label, icon: Icon } = PROVIDERS[provider]
          return (
            <Button
              key={provider}
              type="submit"
              name="provider"
              value={provider}
              variant="default"
              leftSection={<Icon size={18} aria-hidden />}
            >
              {label}
            </Button>
          )
        })}
        <Divider label="or with e-mail" mt={4} />
      </Stack>
    </form>
  )
}
