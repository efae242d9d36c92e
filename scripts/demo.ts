/**
 * `npm run demo`: the local stack and the web app, with two accounts ready to sign in.
 * `npm run demo -- --check`: the main job once, end to end, on an own empty stack; prints each figure and exits.
 */
import { parseArgs, styleText } from 'node:util'
import { ACCOUNTS, createAccounts } from './demo/accounts.ts'
import { check } from './demo/check.ts'
import { ownStack, sharedStack } from './demo/stack.ts'
import { startWeb, type Web } from './demo/web.ts'

const USAGE = `npm run demo -- [--check] [--port N] [--stack-port N]
  --check         run the main job once, print what happened, exit 0 or 1
  --port N        port of the web app (default 3000, or the next free one)
  --stack-port N  port of the local stack (default 54321, or a free one after it)`

function options() {
  try {
    const { values } = parseArgs({
      options: {
        check: { type: 'boolean', default: false },
        port: { type: 'string', default: '3000' },
        'stack-port': { type: 'string', default: '54321' },
        help: { type: 'boolean', default: false },
      },
    })
    const ports = [values.port, values['stack-port']]
    const wrong = ports.find((port) => !/^\d{1,5}$/.test(port) || Number(port) > 65_000)
    if (wrong !== undefined) throw new Error(`${wrong} is not a port.`)
    return values
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${USAGE}`)
    process.exit(2)
  }
}

async function runCheck(): Promise<void> {
  const stack = await ownStack()
  try {
    const web = await startWeb({ stack, port: 0 })
    try {
      process.exitCode = (await check({ stack, webUrl: web.url })) ? 0 : 1
    } finally {
      await web.stop()
    }
  } finally {
    await stack.stop()
  }
}

async function runDemo(port: number, stackPort: number): Promise<void> {
  const started = performance.now()
  process.stderr.write('Step 4 of 4: start the local stack and the web app (about five seconds) ... ')
  const stack = await sharedStack(stackPort)
  try {
    const web = await startWeb({ stack, port })
    await createAccounts(stack)
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    process.stderr.write(`${seconds} s\n`)
    console.log(`
  ${styleText('bold', 'The demo is ready')}:  ${styleText('cyan', web.url)}

  user    ${ACCOUNTS.user.email}    password ${ACCOUNTS.user.password}
  admin   ${ACCOUNTS.admin.email}   password ${ACCOUNTS.admin.password}

  local stack  ${stack.url}   (development only; data stays in .stack/)
  Ctrl+C stops everything. A new start finds the data again; \`npx pnpm stack start --fresh\` begins with none.
`)
    await untilStopped(web)
    process.stderr.write('\nStopping the web app and the local stack ... ')
    await web.stop()
  } finally {
    await stack.stop()
  }
  process.stderr.write('stopped.\n')
}

/** Ctrl+C may arrive twice, from the terminal and through npm: the second must not cut the stopping off. */
async function untilStopped(web: Web): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve())
    web.ended.then(() => reject(new Error('The web app ended by itself.')))
  })
}

const { check: checkOnly, port, 'stack-port': stackPort, help } = options()
if (help) console.log(USAGE)
else {
  try {
    await (checkOnly ? runCheck() : runDemo(Number(port), Number(stackPort)))
  } catch (error) {
    const { code, hint } = error as { code?: string; hint?: string }
    console.error(
      `${code ? `${code}: ` : ''}${error instanceof Error ? error.message : error}${hint ? `\n${hint}` : ''}`,
    )
    process.exitCode = 1
  }
}
