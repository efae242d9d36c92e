import { createServer } from 'node:net'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { HOST } from '../src/process/ports.ts'
import { type CliStack, cliStack, run } from './support/cli.ts'
import { client, freshEmail, PASSWORD } from './support/stack.ts'

const stacks: CliStack[] = []
const newStack = async () => {
  const stack = await cliStack()
  stacks.push(stack)
  return stack
}
afterEach(async () => {
  await Promise.all(stacks.splice(0).map((stack) => stack.remove()))
})
afterAll(() => Promise.all(stacks.map((stack) => stack.remove())))

describe('stack start, status, env and stop', () => {
  it('print JSON and nothing else, reuse what runs, and know what does not', async () => {
    const stack = await newStack()
    expect(await stack.run('status', '--json')).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('"running": false'),
    })
    const first = await stack.start()
    expect(first.url).toBe(`http://127.0.0.1:${stack.port}`)
    expect(first.gatewayUrl).toBe(`${first.url}/v4/ai`)
    expect(Object.keys(first)).toEqual(
      expect.arrayContaining([
        'publishableKey',
        'secretKey',
        'anonKey',
        'serviceRoleKey',
        'dbUrl',
        'jwtSecret',
        'jwks',
        'gatewayApiKey',
      ]),
    )
    expect(await stack.start()).toEqual(first)
    expect(JSON.parse((await stack.run('status', '--json')).stdout)).toEqual({ running: true, ...first })

    const env = (await stack.run('env')).stdout.trim().split('\n')
    expect(env).toEqual([
      `NEXT_PUBLIC_SUPABASE_URL=${first.url}`,
      `NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY=${first.publishableKey}`,
      `SUPABASE_SECRET_KEY=${first.secretKey}`,
      `DATABASE_URL=${first.dbUrl}`,
      `AI_GATEWAY_API_KEY=${first.gatewayApiKey}`,
      `AI_GATEWAY_BASE_URL=${first.gatewayUrl}`,
    ])

    expect((await stack.run('stop')).code).toBe(0)
    expect((await stack.run('status')).code).toBe(1)
    expect(await stack.run('env')).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/^NOT_RUNNING/) })
  })

  it('keep the data over a restart, and throw it away with --fresh', async () => {
    const stack = await newStack()
    const info = await stack.start()
    const email = freshEmail()
    await client(info, info.publishableKey).auth.signUp({ email, password: PASSWORD })
    const signIn = async () =>
      (await client(info, info.publishableKey).auth.signInWithPassword({ email, password: PASSWORD })).error
    await stack.run('stop')
    await stack.start()
    expect(await signIn()).toBeNull()
    await stack.start('--fresh')
    expect(await signIn()).toMatchObject({ code: 'invalid_credentials' })
  })

  it('run two stacks side by side that know nothing of each other', async () => {
    const [left, right] = await Promise.all([newStack(), newStack()])
    const [a, b] = await Promise.all([left.start(), right.start()])
    const email = freshEmail()
    await client(a, a.publishableKey).auth.signUp({ email, password: PASSWORD })
    const { error } = await client(b, b.publishableKey).auth.signInWithPassword({ email, password: PASSWORD })
    expect(error?.code).toBe('invalid_credentials')
    await left.run('stop')
    expect((await right.run('status')).code).toBe(0)
  })

  it('give the same stack to two starts at once', async () => {
    const stack = await newStack()
    const [a, b] = await Promise.all([stack.start(), stack.start()])
    expect(a).toEqual(b)
  })
})

describe('stack start refuses', () => {
  it('a port in use, and says which and how to choose another', async () => {
    const stack = await newStack()
    for (const port of [stack.port, stack.port + 1]) {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(port, HOST, resolve))
      const outcome = await stack.run('start', '--json')
      await new Promise((resolve) => server.close(resolve))
      expect(outcome).toMatchObject({ code: 1, stdout: '' })
      expect(outcome.stderr).toMatch(new RegExp(`^PORT_IN_USE: Port ${port} .*\\n.*--port N`))
    }
    await stack.start()
  })

  it('production, and ports that are none', async () => {
    const production = await run(['start', '--json'], { NODE_ENV: 'production' })
    expect(production).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/^PRODUCTION_REFUSED/) })
    expect(await run(['start', '--port', 'many'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^INVALID_OPTION/),
    })
  })
})
