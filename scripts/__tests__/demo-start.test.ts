import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '@layers/local-stack'
import { afterAll, describe, expect, it } from 'vitest'
import { sharedStack } from '../demo/stack.ts'
import { root } from '../lib/paths.ts'

const folder = mkdtempSync(join(tmpdir(), 'demo-start-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function bootstrap(env: NodeJS.ProcessEnv, platform: string): Promise<{ code: number; stderr: string }> {
  const pretend = `data:text/javascript,Object.defineProperty(process,'platform',{value:'${platform}'})`
  const args = ['--import', pretend, join(root, 'scripts/bootstrap.mjs'), 'scripts/demo.ts']
  return new Promise((resolve) => {
    execFile(process.execPath, args, { env }, (error, _stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stderr }),
    )
  })
}

describe('npm run demo', () => {
  it.each(['darwin', 'win32'])(
    'on %s without PostgREST it says what to install before it installs or builds',
    async (platform) => {
      const { code, stderr } = await bootstrap({ PATH: folder }, platform)
      expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('needs PostgREST') })
      expect(stderr).toContain('Nothing was installed.')
      expect(stderr).not.toContain('Step')
    },
  )

  it('takes the next free port for the local stack when another program has the first one', async () => {
    const port = await freePort(20)
    const other = createServer().listen(port, '127.0.0.1')
    await once(other, 'listening')
    const stack = await sharedStack(port)
    try {
      expect(new URL(stack.url).port).toBe(String(port + 10))
    } finally {
      await stack.stop()
      other.close()
    }
  })

  it('passes a signal on to the script and waits until it has ended', async () => {
    const script = join(folder, 'slow-end.mjs')
    writeFileSync(
      script,
      `process.on('SIGINT', () => setTimeout(() => { console.log('ended'); process.exit(0) }, 300))
       console.log('ready'); setInterval(() => {}, 1000)`,
    )
    const source = `import { runProgram } from '${join(root, 'scripts/lib/run-program.mjs')}'
      process.exit(await runProgram(process.execPath, ['${script}']))`
    const wrapper = join(folder, 'wrapper.mjs')
    writeFileSync(wrapper, source)
    const child = spawn(process.execPath, [wrapper], { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk
    })
    while (!output.includes('ready')) await sleep(20)
    child.kill('SIGINT')
    const [code] = (await once(child, 'exit')) as [number | null]
    expect({ code, output }).toEqual({ code: 0, output: 'ready\nended\n' })
  })
})
