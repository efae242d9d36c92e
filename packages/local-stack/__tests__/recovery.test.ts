import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { commandOf, isAlive, waitForExit } from '../src/process/pids.ts'
import { type CliStack, cliStack } from './support/cli.ts'
import { client, freshEmail, PASSWORD } from './support/stack.ts'

let stack: CliStack
beforeEach(async () => {
  stack = await cliStack()
})
afterEach(() => stack.remove())

type Info = Awaited<ReturnType<CliStack['start']>>

async function withUser() {
  const info = await stack.start()
  const email = freshEmail()
  await client(info, info.publishableKey).auth.signUp({ email, password: PASSWORD })
  return { info, email }
}

const signIn = async (info: Info, email: string) =>
  (await client(info, info.publishableKey).auth.signInWithPassword({ email, password: PASSWORD })).error

describe('recovery', () => {
  it('after kill -9 of the supervisor, the watchdog ends the servers, and the next start finds the data', async () => {
    const { info, email } = await withUser()
    process.kill(info.pids.supervisor, 'SIGKILL')
    for (const pid of [info.pids.postgres, info.pids.postgrest]) expect(await waitForExit(pid, 5000)).toBe(true)
    expect((await stack.run('status')).code).toBe(1)
    expect(await signIn(await stack.start(), email)).toBeNull()
  })

  it('after kill -9 of supervisor and watchdog at once, the next start ends the orphans', async () => {
    const { info, email } = await withUser()
    process.kill(info.pids.watchdog, 'SIGKILL')
    process.kill(info.pids.supervisor, 'SIGKILL')
    await waitForExit(info.pids.supervisor, 5000)
    expect(isAlive(info.pids.postgres)).toBe(true)
    const next = await stack.start()
    expect(next.pids.postgres).not.toBe(info.pids.postgres)
    for (const pid of [info.pids.postgres, info.pids.postgrest]) expect(isAlive(pid)).toBe(false)
    expect(await signIn(next, email)).toBeNull()
  })

  it('after kill -9 of Postgres, the supervisor starts it again, and what was committed is there', async () => {
    const { info, email } = await withUser()
    process.kill(info.pids.postgres, 'SIGKILL')
    const notes = client(info, info.secretKey).from('notes').select('body')
    let found: unknown
    for (let attempt = 0; attempt < 100 && found === undefined; attempt++) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      const { data } = await notes
      if (data?.length) found = data
    }
    expect(found).toEqual([{ body: 'welcome' }])
    expect(await signIn(info, email)).toBeNull()
    const status = JSON.parse((await stack.run('status', '--json')).stdout) as Info
    expect(commandOf(status.pids.postgres)).toContain(stack.folder)
  })

  it('after kill -9 of PostgREST, the supervisor starts it again', async () => {
    const info = await stack.start()
    process.kill(info.pids.postgrest, 'SIGKILL')
    let answer: unknown
    for (let attempt = 0; attempt < 200 && answer !== 1; attempt++) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      answer = (await client(info, info.publishableKey).rpc('ping')).data
    }
    expect(answer).toBe(1)
  })

  it('after every kill -9 of PostgREST, the eighth included, the supervisor starts it again', async () => {
    const info = await stack.start()
    for (let death = 1; death <= 8; death++) {
      const { pids } = JSON.parse((await stack.run('status', '--json')).stdout) as Info
      process.kill(pids.postgrest, 'SIGKILL')
      await waitForExit(pids.postgrest, 5000)
      let answer: unknown
      for (let attempt = 0; attempt < 400 && answer !== 1; attempt++) {
        await new Promise((resolve) => setTimeout(resolve, 50))
        answer = (await client(info, info.publishableKey).rpc('ping')).data
      }
      expect(answer, `death ${death}`).toBe(1)
    }
  })

  it('after kill -9 of a test run, its temporary stack is gone: servers and files', async () => {
    const module = new URL('../src/index.ts', import.meta.url).href
    const code = `const { startStack } = await import(${JSON.stringify(module)})
      const stack = await startStack({ ephemeral: true, migrationsDir: null, seedFile: null, configFile: null })
      process.stdout.write(JSON.stringify({ pids: stack.pids, root: stack.layout.root }) + '\\n')
      setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    const { pids, root } = JSON.parse(line.toString()) as { pids: Info['pids']; root: string }
    expect(existsSync(root)).toBe(true)
    child.kill('SIGKILL')
    for (const pid of [pids.postgres, pids.postgrest, pids.watchdog]) expect(await waitForExit(pid, 8000)).toBe(true)
    expect(existsSync(root)).toBe(false)
  })

  it('stop removes what a killed stack left', async () => {
    const { info } = await withUser()
    process.kill(info.pids.watchdog, 'SIGKILL')
    process.kill(info.pids.supervisor, 'SIGKILL')
    await waitForExit(info.pids.supervisor, 5000)
    await stack.run('stop')
    for (const pid of [info.pids.postgres, info.pids.postgrest]) expect(isAlive(pid)).toBe(false)
  })
})

describe('a stale file', () => {
  it('a state file that names a foreign process is not believed, and that process is left alone', async () => {
    await stack.start()
    await stack.run('stop')
    const pid = process.pid
    const info = { pids: { supervisor: pid, postgres: pid, postgrest: pid, watchdog: pid } }
    writeFileSync(path.join(stack.folder, 'state.json'), JSON.stringify({ command: 'node other', info }))
    writeFileSync(path.join(stack.folder, 'lock'), `${pid} node other`)
    writeFileSync(path.join(stack.folder, 'pg', 'postmaster.pid'), `${pid}\n${stack.folder}/pg\n`)
    expect((await stack.run('status')).code).toBe(1)
    rmSync(path.join(stack.folder, 'pg', 'postmaster.pid'))
    expect((await stack.start()).url).toContain(String(stack.port))
  })
})

describe('a data folder', () => {
  it('a data folder whose making was cut off is made again', async () => {
    const partial = path.join(stack.folder, 'pg.partial')
    mkdirSync(partial)
    writeFileSync(path.join(partial, 'PG_VERSION'), '17\n')
    const info = await stack.start()
    expect((await client(info, info.publishableKey).rpc('ping')).data).toBe(1)
    expect(existsSync(partial)).toBe(false)
  })

  it('a damaged data folder is reported with the way out, and --fresh is one', async () => {
    await stack.start()
    await stack.run('stop')
    rmSync(path.join(stack.folder, 'pg', 'global'), { recursive: true })
    await expect(stack.start()).rejects.toThrow(/^POSTGRES_FAILED: [\s\S]*--fresh/)
    await stack.start('--fresh')
  })

  it('a data folder of another Postgres is refused with the way out, and left as it is', async () => {
    await stack.start()
    await stack.run('stop')
    const version = path.join(stack.folder, 'pg', 'PG_VERSION')
    writeFileSync(version, '15\n')
    await expect(stack.start()).rejects.toThrow(/^DATA_DIR_VERSION: .*Postgres 15.*Postgres 17.*\n.*--fresh/)
    expect(readFileSync(version, 'utf8')).toBe('15\n')
    await stack.start('--fresh')
  })
})
