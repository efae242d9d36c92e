import 'server-only'
import { type Credits, createCredits } from '@layers/credits'
import {
  type CreditsHandlers,
  createCreditsHandlers,
  type RouteOptions,
  supabaseUser,
  withProblems,
} from '@layers/credits/next'
import { supabaseStore } from '@layers/credits/supabase'
import { readEnv } from './env'
import { logError } from './log'
import { serviceClient, sessionClient, tokenClient } from './supabase'

/** Made once, at the first request: a build has no environment. */
function once<Value>(make: () => Value): () => Value {
  let made: { value: Value } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

/** Finds the user of a request by session cookie or bearer token. */
export const getUser = supabaseUser({
  createClient: (token) => (token === null ? sessionClient() : tokenClient(token)),
})

/** Where a user who ran out of credits is sent. */
function upgradeUrl(): string {
  return readEnv().CREDITS_UPGRADE_URL ?? '/upgrade'
}

/** The use cases over this app's database. */
export const getCredits: () => Credits = once(() =>
  createCredits({ store: supabaseStore(serviceClient()), upgradeUrl: upgradeUrl(), onError: logError }),
)

/** What this app's own routes share with the credits API. */
export const routeOptions: () => RouteOptions = once(() => ({
  getUser,
  upgradeUrl: upgradeUrl(),
  allowedOrigins: (readEnv().CREDITS_ALLOWED_ORIGINS ?? '')
    .split(',')
    .map((origin) => origin.trim())
    .filter(Boolean),
  onError: logError,
}))

const handlers: () => CreditsHandlers = once(() => createCreditsHandlers({ ...routeOptions(), credits: getCredits() }))

/** Answers every route below /api/credits and /api/admin/credits. */
export const creditsApi = withProblems((request) => handlers().handle(request))
