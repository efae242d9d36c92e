import { connect, type Socket } from 'node:net'
import type { Stack } from '@layers/local-stack'
import { createClient } from '@supabase/supabase-js'
import type { CreditStore } from '../../packages/credits/src/store/port.ts'
import { supabaseStore } from '../../packages/credits/src/store/supabase.ts'
import type { TestDatabase } from './test-database.ts'

/** The adapter of the library through PostgREST, with the secret key. `url` may be a proxy in front of it. */
export function restStore(
  stack: Stack,
  url: string,
  options: { timeoutMs?: number; retries?: number } = {},
): CreditStore {
  const client = createClient(url, stack.secretKey, { auth: { persistSession: false, autoRefreshToken: false } })
  return supabaseStore(client, { timeoutMs: 20_000, ...options })
}

/** One answer of PostgREST. */
export interface RestAnswer {
  status: number
  body: string
  headers: Headers
}

/** How to call PostgREST. */
export interface RestOptions {
  token?: string
  method?: string
  body?: unknown
  headers?: Record<string, string>
}

/** Calls PostgREST itself, without the gateway in front, with the rights of the token. */
export async function rest(database: TestDatabase, path: string, options: RestOptions): Promise<RestAnswer> {
  const { token, method = 'GET', body, headers = {} } = options
  const answer = await fetch(`${database.clone.restUrl}/${path}`, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  return { status: answer.status, body: await answer.text(), headers: answer.headers }
}

/** A request that lacks its last byte until `finish`. */
export interface PreparedRequest {
  finish(): void
  status: Promise<number>
}

/** Sends an rpc except for its last byte: finishing many in one tick makes them arrive together. */
export async function prepareRpc(restUrl: string, name: string, args: object, token: string): Promise<PreparedRequest> {
  const { hostname, port } = new URL(restUrl)
  const body = JSON.stringify(args)
  const socket = await openSocket(hostname, Number(port))
  const head = [`POST /rpc/${name} HTTP/1.1`, `Host: ${hostname}:${port}`, `Authorization: Bearer ${token}`]
  head.push('Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`, 'Connection: close', '', '')
  socket.write(head.join('\r\n') + body.slice(0, -1))
  const status = new Promise<number>((resolve) => {
    let text = ''
    socket.setEncoding('utf8')
    socket.on('data', (part) => {
      text += part
    })
    socket.on('close', () => resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0)))
  })
  return { finish: () => socket.write(body.slice(-1)), status }
}

function openSocket(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true }, () => resolve(socket))
    socket.on('error', reject)
  })
}
