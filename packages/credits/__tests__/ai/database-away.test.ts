import { connect, createServer, type Server, type Socket } from 'node:net'
import { type Stack, startStack } from '@layers/local-stack'
import { generateText } from 'ai'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { creditsReceipt, withCredits } from '../../src/ai/index.ts'
import { type Credits, createCredits, type ErrorContext } from '../../src/index.ts'
import type { CreditStore } from '../../src/store/port.ts'
import { postgresStore } from '../../src/store/postgres.ts'
import { supabaseStore } from '../../src/store/supabase.ts'
import { openPool, signUp } from '../kit/database.ts'
import { serviceClient } from '../kit/stack.ts'
import { finish, provider, sleep, textParts } from './scripted-model.ts'

/**
 * The database goes away at the moment a call ends, and comes back some seconds later. `CREDITS_LONG_OUTAGE=1` adds an
 * outage of 400 seconds, which outlives the reservation.
 */
const OUTAGES = process.env.CREDITS_LONG_OUTAGE === '1' ? [1, 3, 30, 400] : [1, 3, 30]
const CALLS = 4
/** Waits between two attempts are at most 30 seconds long. */
const LONGEST_TEST_MS = Math.max(...OUTAGES) * 1_000 + 120_000

/** A way to a port of this machine that can be taken away: open connections are cut, and new ones are refused. */
class Bridge {
  port = 0
  #away = false
  readonly #sockets = new Set<Socket>()
  readonly #server: Server

  constructor(target: number) {
    this.#server = createServer((client) => {
      if (this.#away) return client.destroy()
      const upstream = connect(target, '127.0.0.1')
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket)
        socket.on('error', () => undefined)
        socket.on('close', () => {
          this.#sockets.delete(socket)
          client.destroy()
          upstream.destroy()
        })
      }
      client.pipe(upstream).pipe(client)
    })
  }

  async open(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    const address = this.#server.address()
    if (typeof address === 'object' && address !== null) this.port = address.port
    return this
  }

  takeAway(): void {
    this.#away = true
    for (const socket of this.#sockets) socket.destroy()
  }

  bringBack(): void {
    this.#away = false
  }

  async close(): Promise<void> {
    this.takeAway()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

interface Way {
  credits: Credits
  bridge: Bridge
}

let stack: Stack
let admin: pg.Pool
const closing: (() => Promise<unknown>)[] = []

async function wayOver(url: string, storeAt: (url: string) => CreditStore): Promise<Way> {
  const bridge = await new Bridge(Number(new URL(url).port)).open()
  closing.unshift(() => bridge.close())
  const at = Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(bridge.port) }).href
  // Prices that are read again in the background fail during the outage, which is no error of a call.
  const onError = () => undefined
  const credits = createCredits({ store: storeAt(at), reservationTtlSeconds: 60, onError })
  await credits.pricing()
  return { credits, bridge }
}

beforeAll(async () => {
  stack = await startStack({ ephemeral: true })
  admin = openPool(stack.adminDbUrl)
})
afterAll(async () => {
  for (const close of closing) await close()
  await admin?.end()
  await stack?.stop()
})

/** Each outage has a way of its own, so that they run side by side. */
const WAYS: Readonly<Record<string, () => Promise<Way>>> = {
  supabaseStore: () => wayOver(stack.url, (url) => supabaseStore(serviceClient({ ...stack, url }))),
  postgresStore: () =>
    wayOver(stack.dbUrl, (url) => {
      const pool = openPool(url, { max: CALLS })
      closing.push(() => pool.end())
      return postgresStore(pool)
    }),
}

/** Calls of new users that end while the database is away. */
async function callsThatEndAway({ credits, bridge }: Way, seconds: number) {
  const errors: { error: unknown; context: ErrorContext }[] = []
  const onError = (error: unknown, context: ErrorContext) => errors.push({ error, context })
  const userIds = await Promise.all(Array.from({ length: CALLS }, () => signUp(admin)))
  let running = 0
  const allRunning = Promise.withResolvers<void>()
  const begins = () => {
    if (++running === CALLS) allRunning.resolve()
  }
  const answer = { parts: [...textParts(500), finish('stop' as const, 100, 500)], delayMs: 2_000, begins }
  const calls = userIds.map((userId) => {
    const { model } = provider([answer], 'openai/gpt-5')
    return withCredits(generateText, { credits, userId, onError })({ model, prompt: 'Hello' })
  })
  await allRunning.promise
  bridge.takeAway()
  const results = await Promise.all(calls)
  const awayAt = Date.now()
  const before = results.map((result) => creditsReceipt(result))
  await sleep(seconds * 1_000 - (Date.now() - awayAt))
  const during = results.map((result) => creditsReceipt(result))
  bridge.bringBack()
  const after = await Promise.all(results.map((result) => creditsReceipt(result)?.settled))
  return { userIds, before, during, after, errors }
}

const CASES = Object.keys(WAYS).flatMap((name) => OUTAGES.map((seconds) => ({ name, seconds })))

describe.concurrent('when the database goes away as a call ends', () => {
  it.each(CASES)(
    '$name loses no charge in $seconds seconds, and the receipt has `booked` true when the ledger has it',
    async ({ name, seconds }) => {
      const way = await WAYS[name]?.()
      if (way === undefined) throw new Error(`no way ${name}`)
      const { userIds, before, during, after, errors } = await callsThatEndAway(way, seconds)
      for (const receipt of [...before, ...during]) expect(receipt).toMatchObject({ booked: false, closed: true })
      for (const receipt of after) expect(receipt).toMatchObject({ booked: true, closed: true })
      expect(errors).toHaveLength(CALLS)
      const reported = { operation: 'settle', charge: { outputTokens: 500 } }
      for (const { context } of errors) expect(context).toMatchObject(reported)
      const charged = after.map((receipt) => `-${receipt?.charged}`)
      for (const [place, userId] of userIds.entries()) {
        const { data } = await way.credits.getHistory({ userId, type: 'usage' })
        expect(data.map(({ amount }) => amount)).toEqual([charged[place]])
        expect((await way.credits.getBalance({ userId })).reserved).toBe('0')
      }
    },
    LONGEST_TEST_MS,
  )
})
