import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CreditError } from '../core/errors.ts'

/** `20261101000100_credits_0001_tables.sql` -> `credits_0001_tables.sql`: what stays when an app gives it a time. */
export const MIGRATION_NAME = /^\d{14}_(credits_\d{4}_[a-z0-9_]+\.sql)$/

/** A function that the migrations create, in its last version. */
export interface MigratedFunction {
  schema: string
  name: string
  /** SHA-256 of the text between the dollar quotes, as Postgres keeps it. */
  bodyHash: string
  securityDefiner: boolean
}

/** Everything that the migrations create and that has a name. */
export interface MigratedObjects {
  functions: MigratedFunction[]
  /** In `public`. */
  tables: string[]
  views: string[]
  /** In `public`, those of keys included. */
  indexes: string[]
  /** `table` with its schema. */
  triggers: OnTable[]
  /** On tables that are not the library's. */
  policies: OnTable[]
  /** What `credits_schema_version` answers after the last of them. */
  schemaVersion: number
}

interface OnTable {
  name: string
  table: string
}

/**
 * The migrations of a folder that belong to the library, in their order; an app's own are left out.
 * @throws CreditError `CONFIG_INVALID` when there are none
 */
export function migrationFiles(folder: string): string[] {
  const files = readdirSync(folder)
    .filter((file) => MIGRATION_NAME.test(file))
    .sort()
  if (files.length > 0) return files
  throw new CreditError({ code: 'CONFIG_INVALID', message: `There are no migrations in ${folder}` })
}

/** Reads the names of all objects, and the hash of each function, from the text of the migrations. */
export function migratedObjects(folder: string): MigratedObjects {
  const sql = migrationFiles(folder)
    .map((file) => readFileSync(join(folder, file), 'utf8'))
    .join('\n')
  return {
    functions: functionsIn(sql),
    tables: namesIn(sql, /^create table (?:if not exists )?public\.(\w+)/gim),
    views: namesIn(sql, /^create (?:or replace )?view public\.(\w+)/gim),
    indexes: indexesIn(sql),
    triggers: onTables(sql, TRIGGER),
    policies: onTables(sql, POLICY).filter(({ table }) => !/^(public|credits_private)\./.test(table)),
    schemaVersion: schemaVersionIn(sql),
  }
}

/** SHA-256 of a function's body. */
export function bodyHash(body: string): string {
  return createHash('sha256').update(body).digest('hex')
}

const FUNCTION = /^create (?:or replace )?function (\w+)\.(\w+)\s*\(([\s\S]*?)\bas (\$\w*\$)([\s\S]*?)\4/gim

function functionsIn(sql: string): MigratedFunction[] {
  const found = new Map<string, MigratedFunction>()
  for (const [, schema = '', name = '', head = '', , body = ''] of sql.matchAll(FUNCTION)) {
    const securityDefiner = /\bsecurity definer\b/i.test(head)
    found.set(`${schema}.${name}`, { schema, name, bodyHash: bodyHash(body), securityDefiner })
  }
  return [...found.values()]
}

function namesIn(sql: string, pattern: RegExp): string[] {
  return [...new Set([...sql.matchAll(pattern)].map(([, name = '']) => name))].sort()
}

const INDEX = /^create (?:unique )?index (?:if not exists )?(\w+)\s+on public\./gim
const TABLE = /^create table (?:if not exists )?public\.[\s\S]*?;\n/gim
const KEY = /^\s*constraint (\w+)\s+(?:primary key|unique)/gim

/** The index of a key has the name of its constraint, which the migrations spell out. */
function indexesIn(sql: string): string[] {
  const tables = (sql.match(TABLE) ?? []).join('\n')
  return [...namesIn(sql, INDEX), ...namesIn(tables, KEY)].sort()
}

const TRIGGER = /^\s*(?:execute ')?create (?:or replace )?(?:constraint )?trigger (\w+)\s[\s\S]*?\bon (\w+\.\w+)/gim
const POLICY = /^\s*create policy (\w+) on (\w+\.\w+)/gim

function onTables(sql: string, pattern: RegExp): OnTable[] {
  const found = new Map<string, OnTable>()
  for (const [, name = '', table = ''] of sql.matchAll(pattern)) found.set(`${table} ${name}`, { name, table })
  return [...found.values()]
}

const SCHEMA_VERSION = /^create (?:or replace )?function public\.credits_schema_version\b[\s\S]*?"version": ?(\d+)/gim

function schemaVersionIn(sql: string): number {
  return Number([...sql.matchAll(SCHEMA_VERSION)].at(-1)?.[1] ?? 0)
}
