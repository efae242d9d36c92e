import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, type Stack, startStack } from '@layers/local-stack'
import type pg from 'pg'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { postgresStore } from '../../src/store/postgres.ts'
import { describeCreditStore } from '../../src/testing/index.ts'
import { openPool } from '../kit/database.ts'
import { sqlHarness } from '../kit/store-harness.ts'

/** Debian's `pgbouncer`, or the program in `PGBOUNCER_BIN`. There is no npm package of it. */
const PGBOUNCER = [
  process.env.PGBOUNCER_BIN,
  ...`${process.env.PATH}${delimiter}/usr/sbin`.split(delimiter).map((folder) => join(folder, 'pgbouncer')),
].find((file) => file !== undefined && existsSync(file))
/** The uid of `nobody`: PgBouncer does not run as root. */
const UNPRIVILEGED_ID = 65_534

let stack: Stack
let admin: pg.Pool
let folder: string
let bouncer: ChildProcess
let pooled: pg.Pool
let postgresJs: postgres.Sql

async function startBouncer(): Promise<string> {
  folder = mkdtempSync(join(tmpdir(), 'credits-pgbouncer-'))
  const [port, { port: dbPort }] = [await freePort(), new URL(stack.dbUrl)]
  const file = join(folder, 'pgbouncer.ini')
  const settings = [
    '[databases]',
    `postgres = host=127.0.0.1 port=${dbPort} dbname=postgres user=postgres password=postgres`,
    '[pgbouncer]',
    `listen_addr = 127.0.0.1\nlisten_port = ${port}\nunix_socket_dir =\nauth_type = any`,
    'pool_mode = transaction\ndefault_pool_size = 3\nignore_startup_parameters = extra_float_digits',
  ]
  writeFileSync(file, `${settings.join('\n')}\n`)
  chmodSync(folder, 0o755)
  const user = process.getuid?.() === 0 ? { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID } : {}
  bouncer = spawn(PGBOUNCER as string, [file], { stdio: 'ignore', env: process.env, ...user })
  while (!(await listens(port))) await sleep(20)
  return `postgres://postgres:postgres@127.0.0.1:${port}/postgres`
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

describe.skipIf(PGBOUNCER === undefined)('behind PgBouncer in transaction mode', () => {
  beforeAll(async () => {
    stack = await startStack({ ephemeral: true })
    admin = openPool(stack.adminDbUrl)
    const url = await startBouncer()
    // More clients than connections, so that consecutive statements of a client meet different ones.
    pooled = openPool(url, { max: 10 })
    postgresJs = postgres(url, { max: 10 })
  })
  afterAll(async () => {
    await postgresJs?.end()
    await pooled?.end()
    bouncer?.kill('SIGTERM')
    await admin?.end()
    await stack?.stop()
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  const runner = { describe, it }
  describeCreditStore('postgresStore over pg', () => sqlHarness(postgresStore(pooled), admin), runner)
  describeCreditStore(
    'postgresStore over postgres.js',
    () => sqlHarness(postgresStore({ query: (text, values) => postgresJs.unsafe(text, values) }), admin),
    runner,
  )
})
