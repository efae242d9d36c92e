import path from 'node:path'
import type { AuthConfig } from './auth/context.ts'
import { readProjectAuth } from './config.ts'
import { StackError } from './errors.ts'
import { REPOSITORY } from './layout.ts'

/** How to start a stack. Everything has a default. */
export interface StackOptions {
  /** Port of the one URL. Default 54321, the port of `supabase start`; 0 takes a free one. */
  port?: number
  /** Port of Postgres. Default `port + 1`, or a free one when `port` is 0. */
  dbPort?: number
  /** Folder of the data and the logs. Default `.stack/<port>` at the root of the repository. */
  dataDir?: string
  /** Throw the data away first. */
  fresh?: boolean
  /**
   * For tests: free ports, data in a temporary folder that is removed by `stop()`, no fsync, cheap password
   * hashes. A crash of the machine may lose data, a crash of a process does not.
   */
  ephemeral?: boolean
  /** Folder of the migrations; null for none. Default `supabase/migrations` of the repository. */
  migrationsDir?: string | null
  /** The seed; null for none. Default `supabase/seed.sql` of the repository. */
  seedFile?: string | null
  /** File with the auth settings; null for none. Default `supabase/config.toml` of the repository. */
  configFile?: string | null
  /** Settings of Postgres, each `name=value`. */
  postgresFlags?: readonly string[]
  /** Connections of PostgREST to the database. Default 20. */
  restPoolSize?: number
  /** Start Postgres again when it ends by itself. Default true, with `ephemeral` false. */
  restartOnCrash?: boolean
  /** Settings of the auth server; they win over the file. */
  auth?: Partial<Omit<AuthConfig, 'issuer'>>
  /** Pause of the model gateway between two parts of a stream, milliseconds. Default 18, with `ephemeral` 0. */
  modelDelayMs?: number
  /** Receives what the servers have to say, line by line. Default: the log file only. */
  log?: (line: string) => void
}

/** Options with every default filled in, ports excepted. */
export interface ResolvedOptions {
  port: number
  dbPort: number
  dataDir: string | undefined
  fresh: boolean
  ephemeral: boolean
  migrationsDir: string | null
  seedFile: string | null
  postgresFlags: readonly string[]
  restPoolSize: number
  restartOnCrash: boolean
  auth: Omit<AuthConfig, 'issuer'>
  modelDelayMs: number
  log: ((line: string) => void) | undefined
}

/** The port of the one URL when none is named. */
export const DEFAULT_PORT = 54321

/**
 * Fills in the defaults.
 *
 * @throws StackError `PRODUCTION_REFUSED`, `INVALID_OPTION`
 */
export function resolveOptions(options: StackOptions): ResolvedOptions {
  refuseProduction()
  const ephemeral = options.ephemeral ?? false
  const port = validPort(options.port ?? (ephemeral ? 0 : DEFAULT_PORT), 'port')
  const dbPort = validPort(options.dbPort ?? (port === 0 ? 0 : port + 1), 'dbPort')
  const root = (file: string) => path.join(REPOSITORY, 'supabase', file)
  const config = options.configFile === undefined ? root('config.toml') : options.configFile
  return {
    port,
    dbPort,
    dataDir: options.dataDir === undefined ? undefined : path.resolve(options.dataDir),
    fresh: options.fresh ?? false,
    ephemeral,
    migrationsDir: options.migrationsDir === undefined ? root('migrations') : options.migrationsDir,
    seedFile: options.seedFile === undefined ? root('seed.sql') : options.seedFile,
    postgresFlags: [...(ephemeral ? EPHEMERAL_FLAGS : []), ...(options.postgresFlags ?? [])],
    restPoolSize: options.restPoolSize ?? 20,
    restartOnCrash: options.restartOnCrash ?? !ephemeral,
    auth: { ...AUTH_DEFAULTS, ...readProjectAuth(config), ...(ephemeral ? EPHEMERAL_AUTH : {}), ...options.auth },
    modelDelayMs: options.modelDelayMs ?? (ephemeral ? 0 : 18),
    log: options.log,
  }
}

// Tests sign up by the hundred and must not wait.
const EPHEMERAL_AUTH = { passwordCost: 4, emailIntervalSeconds: 0 }

const EPHEMERAL_FLAGS = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off']

const AUTH_DEFAULTS: Omit<AuthConfig, 'issuer'> = {
  siteUrl: 'http://127.0.0.1:3000',
  redirectOrigins: ['http://localhost:3000'],
  jwtExpirySeconds: 3600,
  minPasswordLength: 6,
  confirmEmail: false,
  doubleConfirmChanges: true,
  otpExpirySeconds: 3600,
  emailIntervalSeconds: 1,
  anonymousSignIns: true,
  manualLinking: true,
  templates: {},
  refreshReuseSeconds: 10,
  passwordCost: 10,
}

/** The stack's keys are public: what it serves must never face anybody but the developer. */
export function refuseProduction(): void {
  if (process.env.NODE_ENV !== 'production') return
  throw new StackError('PRODUCTION_REFUSED', 'The local stack does not run with NODE_ENV=production.', {
    hint: 'Its keys are public constants. Use a Supabase project, or unset NODE_ENV for development.',
  })
}

function validPort(port: number, name: string): number {
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port
  throw new StackError('INVALID_OPTION', `${name} must be a whole number from 0 to 65535, not ${port}.`, {
    hint: 'Choose for example --port 55321 (the database takes the next port).',
  })
}
