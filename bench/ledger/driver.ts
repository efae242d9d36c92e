import { execFile, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'

const run = promisify(execFile)

/** One benchmark script: statements over `:id` (new every time, ascending) and `:u` (one of the accounts). */
export interface Script {
  name: string
  statements: readonly string[]
}

/** How to drive it. */
export interface Load {
  dbUrl: string
  clients: number
  seconds: number
  accounts: number
}

/** Runs scripts against a server as fast as it can. */
export interface Driver {
  name: string
  /** Scripts done per second. */
  drive(script: Script, load: Load): Promise<number>
}

/** `:id` and `:u` as UUIDs; ascending ids keep the index local, as version 7 does. */
export const ID = `lpad(to_hex(:id::bigint), 32, '0')::uuid`
export const ACCOUNT = `lpad(to_hex(:u::bigint), 32, '0')::uuid`

let base = Date.now() % 1_000_000_000

/** pgbench where it is installed, else the same in Node: prepared statements over as many connections. */
export function driverIn(folder: string): Driver {
  const found = spawnSync('pgbench', ['--version'], { encoding: 'utf8' })
  return found.status === 0 ? pgbench(folder, found.stdout.trim()) : inNode()
}

function pgbench(folder: string, name: string): Driver {
  return {
    name,
    drive: async (script, { dbUrl, clients, seconds, accounts }) => {
      const file = path.join(folder, `${script.name}.sql`)
      const head = ['\\set n :n + 1', '\\set id (:base + :n) * 64 + :client_id', '\\set u random(1, :accounts)']
      writeFileSync(file, `${[...head, ...script.statements.map((each) => `${each};`)].join('\n')}\n`)
      const variables = ['-D', 'n=0', '-D', `base=${nextBase()}`, '-D', `accounts=${accounts}`]
      const threads = Math.min(clients, 2)
      const options = ['-n', '-M', 'prepared', '-c', `${clients}`, '-j', `${threads}`, '-T', `${seconds}`, ...variables]
      const { stdout, stderr } = await run('pgbench', [...options, '-f', file, dbUrl])
      const tps = Number(/tps = ([\d.]+)/.exec(stdout)?.[1])
      if (!(tps > 0)) throw new Error(`pgbench ${script.name}: ${stderr.slice(0, 500)}`)
      return tps
    },
  }
}

function inNode(): Driver {
  return {
    name: 'prepared statements from Node',
    drive: async (script, { dbUrl, clients, seconds, accounts }) => {
      const start = nextBase()
      const texts = script.statements.map((text) => text.replaceAll(':id::', '$1::').replaceAll(':u::', '$2::'))
      const until = performance.now() + seconds * 1000
      const counts = await Promise.all(
        Array.from({ length: clients }, async (_, index) => {
          const client = new pg.Client({ connectionString: dbUrl })
          await client.connect()
          let done = 0
          for (; performance.now() < until; done += 1) {
            const values = [(start + done) * 64 + index, 1 + Math.floor(Math.random() * accounts)]
            for (const [place, text] of texts.entries()) {
              const used = values.slice(0, text.includes('$2') ? 2 : 1)
              await client.query({ name: `${script.name} ${place}`, text, values: used })
            }
          }
          await client.end()
          return done
        }),
      )
      return counts.reduce((total, count) => total + count, 0) / seconds
    },
  }
}

/** Ids of one run must never meet those of another. */
function nextBase(): number {
  base += 100_000_000
  return base
}
