import { createServer, type Server } from 'node:http'
import { type Stack, startStack } from '@layers/local-stack'
import { createClient } from '@supabase/supabase-js'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CreditError } from '../../src/core/errors.ts'
import type { CreditStore } from '../../src/store/port.ts'
import { postgresStore } from '../../src/store/postgres.ts'
import { supabaseStore } from '../../src/store/supabase.ts'
import { UNKNOWN_USER } from '../../src/testing/case.ts'
import { openPool } from '../kit/database.ts'
import { serviceClient } from '../kit/stack.ts'
import { faultProxy } from './fault-proxy.ts'

const PAGE = '<!DOCTYPE html><html><body>Welcome to example.test</body></html>'
const ONCE = { retries: 0 }

let stack: Stack
let admin: pg.Pool
let website: Server
const pools: pg.Pool[] = []

function poolAt(change: Partial<Record<'hostname' | 'port' | 'username' | 'password' | 'pathname', string>>): pg.Pool {
  const pool = openPool(Object.assign(new URL(stack.adminDbUrl), change).href)
  pools.push(pool)
  return pool
}

beforeAll(async () => {
  stack = await startStack({ ephemeral: true })
  admin = openPool(stack.adminDbUrl)
  pools.push(admin)
  website = createServer((request, response) => {
    response.writeHead(Number(request.headers['x-status'] ?? 200), { 'content-type': 'text/html' }).end(PAGE)
  })
  await new Promise<void>((resolve) => website.listen(0, '127.0.0.1', resolve))
})
afterAll(async () => {
  website?.closeAllConnections()
  website?.close()
  for (const pool of pools) await pool.end()
  await stack?.stop()
})

/** The error of a read, as the command line and `doctor` show it. */
async function readError(store: CreditStore): Promise<CreditError> {
  const error = await store.getBalance({ userId: UNKNOWN_USER }).catch((thrown: unknown) => thrown)
  if (!CreditError.isInstance(error)) throw error
  return error
}

/** A client of the website instead of PostgREST. */
function websiteClient(status: number) {
  const address = website.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return createClient(`http://127.0.0.1:${port}`, stack.secretKey, { global: { headers: { 'x-status': `${status}` } } })
}

/** A port of this machine where nothing listens. */
async function closedPort(): Promise<number> {
  const proxy = await faultProxy(1)
  await proxy.close()
  return proxy.port
}

describe('a store that is configured wrongly', () => {
  it('refuses a publishable key and an unknown key with CONFIG_INVALID', async () => {
    for (const secretKey of [stack.publishableKey, 'sb_secret_unknown']) {
      const { code, message } = await readError(supabaseStore(serviceClient({ url: stack.url, secretKey }), ONCE))
      expect({ code, message }).toEqual({ code: 'CONFIG_INVALID', message: expect.stringContaining('secret') })
    }
  })

  it('refuses a wrong password and a missing database with CONFIG_INVALID', async () => {
    await admin.query('create role impostor login password $$right$$')
    const wrongPassword = await readError(postgresStore(poolAt({ username: 'impostor', password: 'wrong' }), ONCE))
    expect(wrongPassword.code).toBe('CONFIG_INVALID')
    const missing = await readError(postgresStore(poolAt({ pathname: '/no_such_database' }), ONCE))
    expect(missing.code).toBe('CONFIG_INVALID')
    expect(missing.message).not.toBe(wrongPassword.message)
  })

  it('refuses a database without the migrations with CONFIG_INVALID, and says what to do', async () => {
    await admin.query('create database without_credits')
    const { code, message } = await readError(postgresStore(poolAt({ pathname: '/without_credits' }), ONCE))
    expect({ code, message }).toEqual({ code: 'CONFIG_INVALID', message: expect.stringContaining('credits init') })
  })

  it('refuses a role that may not execute the functions with CONFIG_INVALID', async () => {
    await admin.query('create role stranger login password $$stranger$$')
    const { code, message } = await readError(
      postgresStore(poolAt({ username: 'stranger', password: 'stranger' }), ONCE),
    )
    expect({ code, message }).toEqual({ code: 'CONFIG_INVALID', message: expect.stringContaining('role') })
  })

  it.each([200, 404, 502])('keeps a web page with status %i out of the error and asks for the URL', async (status) => {
    const error = await readError(supabaseStore(websiteClient(status), ONCE))
    expect(error.code).toBe('STORE_UNAVAILABLE')
    expect(error.message).toContain('URL')
    expect(`${error.message} ${JSON.stringify(error)} ${String(error.cause)}`).not.toContain('html')
  })

  it('says that a host is unknown or that nothing listens, and that nothing was sent', async () => {
    const port = await closedPort()
    const input = { userId: UNKNOWN_USER, reservationId: crypto.randomUUID(), amount: '1', ttlSeconds: 60 }
    const client = serviceClient({ url: `http://127.0.0.1:${port}`, secretKey: stack.secretKey })
    const stores = [supabaseStore(client, ONCE), postgresStore(poolAt({ port: String(port) }), ONCE)]
    for (const store of stores) {
      const error = await store.reserve(input).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', message: expect.stringContaining('ECONNREFUSED') })
    }
    const unknownHost = await readError(postgresStore(poolAt({ hostname: 'database.invalid' }), ONCE))
    expect(unknownHost.code).toBe('STORE_UNAVAILABLE')
    expect(unknownHost.message).toMatch(/ENOTFOUND|EAI_AGAIN/)
  })

  it('refuses to be made without a client or pool', () => {
    const make = [() => supabaseStore(undefined as never), () => postgresStore(undefined as never)]
    for (const store of make) expect(store).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })
})
