import { fileURLToPath } from 'node:url'
import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import { type Stack, type StackOptions, startStack } from '../../src/index.ts'

const file = (name: string) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))

/** Migrations and a seed that belong to these tests alone. */
export const FIXTURES = { migrationsDir: file('migrations'), seedFile: file('seed.sql') }

/** A stack of its own for a test file. */
export function testStack(options: StackOptions = {}): Promise<Stack> {
  return startStack({ ephemeral: true, configFile: null, ...FIXTURES, ...options })
}

/** A client without memory of its own. */
export function client(stack: Pick<Stack, 'url'>, key: string): SupabaseClient {
  return createClient(stack.url, key, { auth: { persistSession: false, autoRefreshToken: false } })
}

let counter = 0

/** An address that was never used before. */
export function freshEmail(name = 'user'): string {
  counter += 1
  return `${name}-${Date.now()}-${counter}@example.com`
}

/** A password that is good enough. */
export const PASSWORD = 'correct horse'
