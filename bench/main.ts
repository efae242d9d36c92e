#!/usr/bin/env node
/** `pnpm bench [name] [--json] [--rows 1m]`: every benchmark is a ratio taken in one run on one server. */
import { readdirSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type BenchOptions, type BenchReport, machine, reached, render } from './report.ts'

interface BenchModule {
  run(options: BenchOptions): Promise<BenchReport>
}

const NOT_BENCHMARKS = new Set(['main', 'report'])

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false }, rows: { type: 'string' } },
})

process.exitCode = await main()

async function main(): Promise<number> {
  const known = readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => file.slice(0, -3))
    .filter((name) => !NOT_BENCHMARKS.has(name))
  const chosen = positionals.length === 0 ? known : positionals
  const unknown = chosen.filter((name) => !known.includes(name))
  if (unknown.length > 0) {
    console.error(`no benchmark ${unknown.join(', ')}; there are: ${known.join(', ')}`)
    return 2
  }
  const reports: BenchReport[] = []
  for (const name of chosen) {
    const report = await (await load(name)).run({ rows: values.rows })
    reports.push(report)
    if (!values.json) console.log(`${render(report)}\n`)
  }
  if (values.json) console.log(JSON.stringify({ machine: machine(), reports }, null, 2))
  // A figure below its goal is a finding to read, not a broken build: machines differ.
  const short = reports.flatMap(({ rows }) => rows).filter((row) => !reached(row)).length
  if (!values.json) console.log(short === 0 ? 'All goals reached.' : `${short} ratios fall short of their goal.`)
  return 0
}

async function load(name: string): Promise<BenchModule> {
  const loaded = (await import(new URL(`${name}.ts`, import.meta.url).href)) as Partial<BenchModule>
  if (typeof loaded.run !== 'function') throw new TypeError(`bench/${name}.ts exports no run(options)`)
  return loaded as BenchModule
}
