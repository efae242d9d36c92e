import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { CreditError } from '../core/errors.ts'
import { command } from './command.ts'
import { migrationsFolder, version } from './package-root.ts'

/** `20261101000100_credits_0001_profiles.sql` -> `credits_0001_profiles.sql`: what stays when the app gives it a time. */
const NAME = /^\d{14}_(credits_\d{4}_[a-z0-9_]+\.sql)$/
const HEADER = /^-- @layers\/credits \S+ sha256:([0-9a-f]{64})\n/

/** What becomes of one migration. `edited`: the app changed its copy, so it is left alone. */
interface Step {
  action: 'write' | 'update' | 'keep' | 'edited'
  file: string
}

/** `credits init` */
export const init = command({
  name: 'init',
  description: 'Copy the migrations into supabase/migrations of your app; again after an upgrade, for the new ones',
  args: {
    dir: { type: 'string', description: 'Folder of the migrations', default: 'supabase/migrations' },
    'dry-run': { type: 'boolean', description: 'Only tell what would be written', default: false },
  },
  async run(args, output) {
    const target = resolve(args.dir)
    const steps = plan(migrationsFolder(), target, new Date())
    for (const { action, file } of steps) output.say(`${WORDS[action].padEnd(12)} ${file}`)
    if (!args['dry-run']) for (const step of steps) write(step, target)
    const edited = steps.filter((step) => step.action === 'edited')
    if (edited.length > 0) output.say(`${edited.length} files were edited by hand and stay as they are.`)
    else if (!args['dry-run']) output.say('Next: npx supabase db push (or: supabase migration up, on a local stack)')
    output.answer({ dryRun: args['dry-run'], steps: steps.map(({ action, file }) => ({ action, file })) })
    return edited.length === 0 ? 0 : 1
  },
})

const WORDS: Record<Step['action'], string> = { write: 'new', update: 'updated', keep: 'up to date', edited: 'EDITED' }

interface Planned extends Step {
  text: string
}

/**
 * Pairs the package's migrations with the app's files by name. New ones are timed from now on, a second apart, so that
 * they come after everything the app has applied already, in their own order.
 */
export function plan(source: string, target: string, now: Date): Planned[] {
  const ours = readdirSync(source)
    .filter((file) => NAME.test(file))
    .sort()
  if (ours.length === 0)
    throw new CreditError({ code: 'CONFIG_INVALID', message: `There are no migrations in ${source}` })
  const theirs = existsSync(target) ? readdirSync(target) : []
  let next = Math.max(now.getTime(), ...theirs.map(timeOf).map((time) => time + 1000))
  return ours.map((file) => {
    const name = NAME.exec(file)?.[1] ?? file
    const body = readFileSync(join(source, file), 'utf8')
    const text = `-- @layers/credits ${version} sha256:${sha256(body)}\n${body}`
    const existing = theirs.find((other) => NAME.exec(other)?.[1] === name)
    if (existing !== undefined)
      return { file: existing, text, action: compare(readFileSync(join(target, existing), 'utf8'), body) }
    const written = `${stamp(next)}_${name}`
    next += 1000
    return { file: written, text, action: 'write' }
  })
}

/** A copy is only replaced when its own header proves that nobody changed it. */
function compare(existing: string, body: string): Step['action'] {
  const hash = HEADER.exec(existing)?.[1]
  const theirs = existing.replace(HEADER, '')
  if (theirs === body) return 'keep'
  return hash === sha256(theirs) ? 'update' : 'edited'
}

/** Writes what {@link plan} said. */
export function write({ action, file, text }: Planned, target: string): void {
  if (action === 'keep' || action === 'edited') return
  mkdirSync(target, { recursive: true })
  // `wx`: a file that appeared in between is not ours to replace.
  writeFileSync(join(target, file), text, { flag: action === 'write' ? 'wx' : 'w' })
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** `20261101000100` of a file name as a time; 0 when it has none. */
function timeOf(file: string): number {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)_/.exec(file)
  if (match === null) return 0
  const [year = 0, month = 1, ...rest] = match.slice(1).map(Number)
  return Date.UTC(year, month - 1, ...(rest as [number, number, number, number]))
}

function stamp(time: number): string {
  return new Date(time).toISOString().replace(/\D/g, '').slice(0, 14)
}
