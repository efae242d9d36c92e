import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { command, databaseArgs, type Output } from './command.ts'
import { databaseUrl, withDatabase } from './database.ts'
import { MIGRATION_NAME, migrationFiles } from './migrations.ts'
import { migrationsFolder, version } from './package-root.ts'
import { findCollisions } from './preflight.ts'

const HEADER = /^-- @layers\/credits \S+ sha256:[0-9a-f]{64}\n/

/** What becomes of one migration. `differs`: the app's file is not the one of the package. */
interface Step {
  action: 'write' | 'keep' | 'differs'
  file: string
}

/** `credits init` */
export const init = command({
  name: 'init',
  description: 'Copy the migrations into supabase/migrations of your app; after an upgrade, the new ones',
  args: {
    ...databaseArgs,
    dir: { type: 'string', description: 'Folder of the migrations', default: 'supabase/migrations' },
    'dry-run': { type: 'boolean', description: 'Say what would be written, write nothing', default: false },
    preflight: {
      type: 'boolean',
      description: 'Only look at the database for names that the migrations need',
      default: false,
    },
  },
  examples: ['init --preflight', 'init --dry-run', 'init'],
  async run(args, output) {
    const looked = await preflight(args['database-url'], args.preflight, output)
    const collisions = looked ?? []
    if (collisions.length > 0) output.say(`${collisions.length} names are taken: rename yours. Nothing was written.`)
    if (args.preflight || collisions.length > 0) {
      output.answer({ preflight: looked !== undefined, collisions, steps: [] })
      return collisions.length === 0 ? 0 : 1
    }
    const target = resolve(args.dir)
    const steps = plan(migrationsFolder(), target, new Date())
    const differing = steps.filter((step) => step.action === 'differs')
    for (const { action, file } of steps) output.say(`${WORDS[action].padEnd(12)} ${file}`)
    const writes = differing.length === 0 && !args['dry-run']
    if (writes) for (const step of steps) write(step, target)
    output.say(nextStep(differing.length, args['dry-run'], steps))
    const listed = steps.map(({ action, file }) => ({ action, file }))
    output.answer({ dryRun: args['dry-run'], preflight: looked !== undefined, collisions, steps: listed })
    return differing.length === 0 ? 0 : 1
  },
})

const WORDS: Record<Step['action'], string> = { write: 'new', keep: 'up to date', differs: 'DIFFERS' }

/** The collisions; undefined when there is no database to look at. */
async function preflight(flag: string | undefined, only: boolean, output: Output): Promise<string[] | undefined> {
  if (databaseUrl(flag) === undefined && !only) {
    output.say('The database was not looked at: DATABASE_URL is not set. `credits init --preflight` does so later.')
    return undefined
  }
  const { installed, collisions } = await withDatabase(flag, (client) => findCollisions(client, migrationsFolder()))
  for (const collision of collisions) output.say(`taken        ${collision}`)
  if (collisions.length === 0) output.say(installed ? 'The library is installed here.' : 'No name is taken.')
  return collisions
}

function nextStep(differing: number, dryRun: boolean, steps: readonly Step[]): string {
  if (differing > 0) {
    return (
      `${differing} files differ from the package, and nothing was written. A migration that was applied is never ` +
      'applied again: restore the file, and put your change into a migration of your own.'
    )
  }
  if (dryRun) return 'Dry run: nothing was written.'
  if (steps.every(({ action }) => action === 'keep'))
    return 'Nothing to do. Check the database: npx @layers/credits doctor'
  return 'Next: npx supabase db push (or: supabase migration up, on a local stack), then npx @layers/credits doctor'
}

interface Planned extends Step {
  text: string
}

/**
 * Pairs the package's migrations with the app's files by name. New ones are timed from now on, a second apart, so that
 * they come after everything that the app has applied, in their own order.
 */
export function plan(source: string, target: string, now: Date): Planned[] {
  const existing = existsSync(target) ? readdirSync(target) : []
  let next = Math.max(now.getTime(), ...existing.map(timeOf).map((time) => time + 1000))
  return migrationFiles(source).map((file) => {
    const name = MIGRATION_NAME.exec(file)?.[1] ?? file
    const body = readFileSync(join(source, file), 'utf8')
    const text = `-- @layers/credits ${version} sha256:${sha256(body)}\n${body}`
    const own = existing.find((other) => MIGRATION_NAME.exec(other)?.[1] === name)
    if (own !== undefined) {
      const same = readFileSync(join(target, own), 'utf8').replace(HEADER, '') === body
      return { file: own, text, action: same ? 'keep' : 'differs' }
    }
    const written = `${stamp(next)}_${name}`
    next += 1000
    return { file: written, text, action: 'write' }
  })
}

/** Writes a new file; files that exist are never touched. */
export function write({ action, file, text }: Planned, target: string): void {
  if (action !== 'write') return
  mkdirSync(target, { recursive: true })
  // `wx`: a file that appeared in between is not ours to replace.
  writeFileSync(join(target, file), text, { flag: 'wx' })
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
