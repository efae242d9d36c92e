import { execFileSync, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from '../../lib/paths.ts'

/** A checkout of its own: the setup links it, so it must not be this one. */
export function newWorkdir(): string {
  const workdir = mkdtempSync(join(tmpdir(), 'supabase-setup-'))
  for (const part of ['config.toml', 'migrations', 'templates', 'seed.sql']) {
    const from = join(root, 'supabase', part)
    if (existsSync(from)) cpSync(from, join(workdir, 'supabase', part), { recursive: true })
  }
  cpSync(join(root, '.env.example'), join(workdir, '.env.example'))
  writeFileSync(join(workdir, '.gitignore'), '.env.*\n!.env.example\nsupabase/.temp/\n')
  mkdirSync(join(workdir, 'apps', 'web'), { recursive: true })
  execFileSync('git', ['init', '--quiet'], { cwd: workdir })
  return workdir
}

/** What a run printed. */
export interface Run {
  output: string
  exitCode: number
}

/** Runs the setup as a user does, without a terminal. Nothing of this machine's Supabase login is used. */
export function runSetup(workdir: string, args: string[], env: Record<string, string>): Promise<Run> {
  const home = join(workdir, '.home')
  mkdirSync(home, { recursive: true })
  const child = spawn(process.execPath, [join(root, 'scripts/supabase-setup/main.ts'), '--workdir', workdir, ...args], {
    env: { PATH: process.env.PATH, HOME: home, SUPABASE_HOME: home, SUPABASE_NO_KEYRING: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ output, exitCode: code ?? 128 }))
  })
}

/** The CLI reads where the platform is from a profile. */
export function writeProfile(workdir: string, apiUrl: string): string {
  const path = join(workdir, '.profile.json')
  const profile = { name: 'loopback', api_url: apiUrl, dashboard_url: apiUrl, project_host: 'supabase.invalid' }
  writeFileSync(path, JSON.stringify(profile))
  return path
}

/** The arguments of every process that runs at this moment, as any user of the machine can read them (Linux). */
export function visibleArguments(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      } catch {
        // It ended while we read.
        return ''
      }
    })
}
