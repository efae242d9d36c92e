// The first step of `npm run demo` and `npm test`, written for what a fresh checkout has: Node >= 20 and npm.
// Installs and builds when something changed, then hands over to a script on the Node version that the
// tools need (it comes from npm, as the dev dependency `node`).
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runProgram } from './lib/run-program.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const bin = join(root, 'node_modules', '.bin')
const env = {
  ...process.env,
  PATH: bin + delimiter + process.env.PATH,
  NEXT_TELEMETRY_DISABLED: '1',
  // Neither npm nor pnpm has to advertise its next version here.
  npm_config_update_notifier: 'false',
}
const [script, ...args] = process.argv.slice(2)
const isDemo = script === 'scripts/demo.ts'

function fail(message) {
  console.error(message)
  process.exit(2)
}

function run(command, commandArgs, options) {
  return runProgram(command, commandArgs, { cwd: root, env, ...options }).catch((error) =>
    fail(`Could not run ${command}: ${error.message}`),
  )
}

let stepNumber = 0

/** Says what is done and how long it took, on stderr: stdout belongs to the command that follows (`--json`). */
async function step(title, usually, work) {
  stepNumber += 1
  const label = isDemo ? `Step ${stepNumber} of 4: ${title}` : title
  const started = Date.now()
  process.stderr.write(`${label} (${usually}) ... `)
  const status = await work()
  process.stderr.write(status === 0 ? `${((Date.now() - started) / 1000).toFixed(1)} s\n` : 'failed\n')
  return status
}

function skipped(title) {
  stepNumber += 1
  if (isDemo) process.stderr.write(`Step ${stepNumber} of 4: ${title}: up to date\n`)
}

/** npm has PostgREST for Linux x64 only. Without it everything else would be installed and built in vain. */
function requirePostgrest() {
  const platform = `${process.platform}-${process.arch}`
  if (platform === 'linux-x64' || process.env.POSTGREST_BIN) return
  const program = process.platform === 'win32' ? 'postgrest.exe' : 'postgrest'
  const folders = (process.env.PATH ?? '').split(delimiter)
  if (folders.some((folder) => folder && existsSync(join(folder, program)))) return
  const how = process.platform === 'darwin' ? 'brew install postgrest' : 'https://postgrest.org/en/stable/install.html'
  fail(
    `The local stack needs PostgREST, which npm does not have for ${platform} (Postgres it has).\n` +
      `Install it (${how}), or set POSTGREST_BIN to the program, and run this command again. Nothing was installed.`,
  )
}

async function install() {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const stampFile = join(root, 'node_modules', '.installed')
  const stamp = createHash('sha256')
    .update(readFileSync(join(root, 'pnpm-lock.yaml')))
    .digest('hex')
  const title = 'install the dependencies'
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return skipped(title)
  const command = ['--yes', manifest.packageManager, 'install', '--frozen-lockfile', '--reporter=append-only']
  const options = { quiet: true, shell: process.platform === 'win32' }
  const status = await step(title, 'about a minute', () => run('npx', command, options))
  if (status !== 0) fail('Installing the dependencies failed (see above). Nothing else was started.')
  writeFileSync(stampFile, stamp)
}

async function build(node, target, title, usually) {
  const current = await run(node, ['scripts/build.ts', target, '--check'], { quiet: false })
  if (current === 0) return skipped(title)
  const status = await step(title, usually, () => run(node, ['scripts/build.ts', target], { quiet: true }))
  if (status !== 0) process.exit(status)
}

const major = Number(process.versions.node.split('.')[0])
if (major < 20)
  fail(`Node ${process.versions.node} is too old: this project needs Node 20 or newer (https://nodejs.org).`)

if (script) requirePostgrest()
await install()
const node = join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
await build(node, 'library', 'build the library', 'a few seconds')
await build(node, 'web', 'build the web app', 'about a minute')
if (script) process.exit(await run(node, [script, ...args]))
