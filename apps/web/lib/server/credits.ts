import 'server-only'
import { type Credits, createCredits } from '@layers/credits'
import { createCreditsHandlers, type RouteOptions } from '@layers/credits/http'
import { supabaseStore } from '@layers/credits/supabase'
import { getUser } from '../auth/session'
import { readEnv } from './env'
import { logError } from './log'
import { serviceClient } from './supabase'

let made: Credits | undefined

/** The use cases over this app's database. Made once, at the first request: a build has no environment. */
export function getCredits(): Credits {
  made ??= createCredits({ store: supabaseStore(serviceClient()), upgradeUrl: upgradeUrl(), onError: logError })
  return made
}

/** Where a user who ran out of credits is sent. */
export function upgradeUrl(): string {
  return readEnv().CREDITS_UPGRADE_URL ?? '/upgrade'
}

function allowedOrigins(): string[] {
  const origins = (readEnv().CREDITS_ALLOWED_ORIGINS ?? '').split(',').map((origin) => origin.trim())
  return origins.filter(Boolean)
}

/** What this app's own routes share with the credits API. */
export const routeOptions: RouteOptions = { getUser, allowedOrigins, onError: logError }

/** Answers every route below /api/credits and /api/admin/credits. */
export const creditsApi = createCreditsHandlers({ ...routeOptions, credits: getCredits })
