import { readFileSync } from 'node:fs'
import pg from 'pg'
import { withClient } from './connect.ts'

/** A database with roles, the auth schema and the strict defaults, but no migration: the mould of new projects. */
export const BASE_DATABASE = 'stack_base'

const sql = (name: string) => readFileSync(new URL(`../../sql/${name}`, import.meta.url), 'utf8')

const ROLES_AND_SCHEMAS = [sql('bootstrap.sql'), sql('strict-defaults.sql')]
const AUTH_SCHEMA = sql('auth-schema.sql')

/** Everything `bootstrap` runs, to tell when it has changed. */
export const BOOTSTRAP_SQL = [...ROLES_AND_SCHEMAS, AUTH_SCHEMA].join('\n')

/**
 * Makes the database `postgres` look like a new Supabase project and keeps a copy of that state as the mould of
 * further databases: copying it takes some 20 ms, building it ten times as long.
 */
export async function bootstrap(port: number): Promise<void> {
  await withClient({ port, user: 'supabase_admin' }, async (admin) => {
    for (const script of ROLES_AND_SCHEMAS) await admin.query(script)
  })
  await withClient({ port, user: 'supabase_auth_admin' }, async (auth) => {
    await auth.query(AUTH_SCHEMA)
  })
  await createDatabase(port, BASE_DATABASE, 'postgres')
}

/** Copies the database `template`, to which no client may be connected. */
export async function createDatabase(port: number, name: string, template: string): Promise<void> {
  const id = pg.escapeIdentifier
  await withClient({ port, user: 'supabase_admin', database: 'template1' }, async (admin) => {
    await admin.query(`create database ${id(name)} template ${id(template)} strategy file_copy`)
    // The rights on a database are not part of the copy.
    await admin.query(`alter database ${id(name)} owner to postgres`)
    await admin.query(`grant all on database ${id(name)} to postgres`)
    await admin.query(`grant create on database ${id(name)} to supabase_auth_admin`)
  })
}

/** Drops a database and ends its connections; one that does not exist is fine. */
export async function dropDatabase(port: number, name: string): Promise<void> {
  await withClient({ port, user: 'supabase_admin', database: 'template1' }, async (admin) => {
    await admin.query(`drop database if exists ${pg.escapeIdentifier(name)} with (force)`)
  })
}
