import { randomUUID } from 'node:crypto'
import { type Api, type ApiOptions, startApi } from './api.ts'
import type { ResolvedOptions } from './options.ts'
import { connectionString } from './postgres/connect.ts'
import { BASE_DATABASE, createDatabase, dropDatabase } from './postgres/databases.ts'
import { migrate, seed } from './postgres/migrate.ts'

/** How to copy the database. */
export interface CloneOptions {
  /** Also start PostgREST and an auth server for it, at a URL of its own (some 0.4 s). Default false. */
  api?: boolean
}

/** A database of its own in the same server. */
export interface ClonedDatabase {
  name: string
  /** As the role `postgres`. */
  dbUrl: string
  /** As the superuser. */
  adminDbUrl: string
  /** The URL for supabase-js; empty without `api`. The keys are those of the stack. */
  url: string
  /** PostgREST itself; empty without `api`. */
  restUrl: string
  /** Applies the migrations of a folder that were not applied yet, as `supabase db push` does. @returns their names */
  migrate(folder: string): Promise<string[]>
  /** Ends its servers and drops it. `stop()` of the stack does so too. */
  drop(): Promise<void>
}

/** Makes and drops copies. */
export interface Cloner {
  clone(options?: CloneOptions): Promise<ClonedDatabase>
  dropAll(): Promise<void>
}

const TEMPLATE = 'stack_template'

/**
 * Copies are made of a template that holds the migrations and the seed and nothing else; it is built when the
 * first copy is asked for.
 */
export function createCloner(options: {
  resolved: ResolvedOptions
  apiOptions: Omit<ApiOptions, 'port' | 'database' | 'open'>
}): Cloner {
  const { apiOptions, resolved } = options
  const { dbPort } = apiOptions
  const clones = new Set<ClonedDatabase>()
  let template: Promise<void> | undefined
  // Two copies at once would each find the other connected to the template.
  let queue: Promise<unknown> = Promise.resolve()

  async function buildTemplate(): Promise<void> {
    await dropDatabase(dbPort, TEMPLATE)
    await createDatabase(dbPort, TEMPLATE, BASE_DATABASE)
    const target = { port: dbPort, database: TEMPLATE }
    if (resolved.migrationsDir !== null) await migrate(target, resolved.migrationsDir)
    if (resolved.seedFile !== null) await seed(target, resolved.seedFile)
  }

  async function clone(cloneOptions: CloneOptions = {}): Promise<ClonedDatabase> {
    const name = `clone_${randomUUID().replaceAll('-', '').slice(0, 16)}`
    template ??= buildTemplate()
    await template
    const copied = queue.then(() => createDatabase(dbPort, name, TEMPLATE))
    queue = copied.catch(() => undefined)
    await copied
    let api: Api | undefined
    if (cloneOptions.api) api = await startApi({ ...apiOptions, port: 0, database: name, open: () => ({}) })
    const created: ClonedDatabase = {
      name,
      dbUrl: connectionString({ port: dbPort, database: name, user: 'postgres' }),
      adminDbUrl: connectionString({ port: dbPort, database: name, user: 'supabase_admin' }),
      url: api?.url ?? '',
      restUrl: api?.restUrl ?? '',
      migrate: (folder) => migrate({ port: dbPort, database: name }, folder),
      drop: async () => {
        if (!clones.delete(created)) return
        await api?.stop()
        await dropDatabase(dbPort, name)
      },
    }
    clones.add(created)
    return created
  }

  return {
    clone,
    dropAll: async () => {
      await Promise.all([...clones].map((database) => database.drop()))
    },
  }
}
