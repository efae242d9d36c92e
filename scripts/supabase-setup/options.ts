import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { root } from '../lib/paths.ts'
import { SetupError } from './errors.ts'

/** Where the app is going to keep its credits. */
export type TargetKind = 'local' | 'link' | 'create'

/** The regions of a new project. */
export const REGIONS = [
  'us-east-1',
  'us-east-2',
  'us-west-1',
  'us-west-2',
  'ca-central-1',
  'sa-east-1',
  'eu-central-1',
  'eu-central-2',
  'eu-north-1',
  'eu-west-1',
  'eu-west-2',
  'eu-west-3',
  'ap-east-1',
  'ap-northeast-1',
  'ap-northeast-2',
  'ap-south-1',
  'ap-southeast-1',
  'ap-southeast-2',
] as const

/** The text of `--help`. */
export const USAGE = `pnpm supabase:setup [--target local|link|create] [options]

Connects this checkout to a Supabase project and proves that it works. Run it again at any time: what is done
already is left alone. Without --target it asks.

  --target local           the local stack (no Docker, no account)
  --target link            an existing hosted project
  --target create          a new hosted project

  --project-ref REF        the project to link (20 letters, from its dashboard URL)
  --org-id SLUG            organisation of a new project (see \`supabase orgs list\`)
  --name NAME              name of a new project
  --region REGION          region of a new project, such as eu-central-1
  --production-url URL     where the app will run; sign-in e-mails lead there
  --api-url URL            address of the project's API when it has a custom domain
  --port N                 port of the local stack (default 54321)
  --env-file FILE          file to write (default .env.local, also for the web app)
  --dry-run                say what would be done and change nothing
  --yes                    do not ask before a hosted project is changed
  --workdir DIR            folder that holds supabase/ (default the root of this checkout)

Hosted projects need SUPABASE_ACCESS_TOKEN (https://supabase.com/dashboard/account/tokens) or \`supabase login\`.
SUPABASE_DB_PASSWORD is the database password, when you have one; without it a temporary login is used.
SUPABASE_DB_URL replaces the connection that the CLI would choose, for networks that allow only another one.`

const httpUrl = z.url({ protocol: /^https?$/, message: 'not an http(s) URL' })

const optionsSchema = z.object({
  target: z.enum(['local', 'link', 'create'], 'one of local, link, create').optional(),
  'project-ref': z
    .string()
    .regex(/^[a-z]{20}$/, '20 lower-case letters, as in https://supabase.com/dashboard/project/<ref>')
    .optional(),
  'org-id': z.string().min(1).optional(),
  name: z.string().trim().min(1).max(256).optional(),
  region: z.enum(REGIONS, `one of ${REGIONS.join(', ')}`).optional(),
  'production-url': httpUrl.optional(),
  'api-url': httpUrl.optional(),
  port: z.coerce.number().int().min(1).max(65535).default(54_321),
  'env-file': z.string().min(1).optional(),
  'dry-run': z.boolean().default(false),
  yes: z.boolean().default(false),
  workdir: z.string().default(root),
  help: z.boolean().default(false),
})

/** The options of one run. Those that depend on the target are still to be completed. */
export type Options = z.infer<typeof optionsSchema>

/**
 * Reads the command line.
 *
 * @throws SetupError naming the option; its hint is the usage
 */
export function parseOptions(args: string[]): Options {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  const known = {
    target: text,
    'project-ref': text,
    'org-id': text,
    name: text,
    region: text,
    'production-url': text,
    'api-url': text,
    port: text,
    'env-file': text,
    'dry-run': flag,
    yes: flag,
    workdir: text,
    help: flag,
  }
  const values = valuesOf(() => parseArgs({ args, options: known }).values)
  const result = optionsSchema.safeParse(values)
  if (!result.success) {
    const lines = result.error.issues.map(({ path, message }) => `--${path.join('.')}: ${message}`)
    throw new SetupError(lines.join('\n'), USAGE)
  }
  const { workdir, 'env-file': envFile } = result.data
  return { ...result.data, workdir: resolve(workdir), ...(envFile && { 'env-file': resolve(envFile) }) }
}

function valuesOf<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new SetupError(error instanceof Error ? error.message : String(error), USAGE)
  }
}
