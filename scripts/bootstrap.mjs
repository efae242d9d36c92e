// The first step of `npm run demo` and `npm test`, written for what a fresh checkout has: Node >= 20 and npm.
// Installs and builds when something changed, then hands over to a script on the Node version that the
// tools need (it comes from npm, as the dev dependency `node`).
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const bin = join(root, 'node_modules', '.bin')
const env = { ...process.env, PATH: bin + delimiter + process.env.PATH, NEXT_TELEMETRY_DISABLED: '1' }

function fail(message) {
  console.error(message)
  process.exit(2)
}

// A child that a signal ended has no exit code; 128 + n is the shell's way to say so.
function run(command, args, options) {
  const result = spawnSync(command, args, { cwd: root, env, stdio: 'inherit', ...options })
  if (result.error) fail(`Could not run ${command}: ${result.error.message}`)
  return result.status ?? 128
}

function install() {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const stampFile = join(root, 'node_modules', '.installed')
  const stamp = createHash('sha256')
    .update(readFileSync(join(root, 'pnpm-lock.yaml')))
    .digest('hex')
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return
  // stdout belongs to the command that follows (`--json`): progress goes to stderr.
  const args = ['--yes', manifest.packageManager, 'install', '--frozen-lockfile', '--reporter=append-only']
  const status = run('npx', args, { stdio: ['inherit', 2, 2], shell: process.platform === 'win32' })
  if (status !== 0) fail('Installing the dependencies failed (see above). Nothing else was started.')
  writeFileSync(stampFile, stamp)
}

const major = Number(process.versions.node.split('.')[0])
if (major < 20)
  fail(`Node ${process.versions.node} is too old: this project needs Node 20 or newer (https://nodejs.org).`)

install()
const node = join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
const [script, ...args] = process.argv.slice(2)
const built = run(node, ['scripts/build.ts'], { stdio: ['inherit', 2, 2] })
if (built !== 0) process.exit(built)
if (script) process.exit(run(node, [script, ...args]))
