#!/usr/bin/env node
import { defineCommand, runMain } from 'citty'
import { env } from './cli/env.ts'
import { logs } from './cli/logs.ts'
import { start } from './cli/start.ts'
import { status } from './cli/status.ts'
import { stop } from './cli/stop.ts'

const main = defineCommand({
  meta: {
    name: 'stack',
    description: 'The local stack: Postgres, PostgREST, auth and a model gateway behind one URL. For development only.',
  },
  subCommands: { start, stop, status, env, logs },
})

await runMain(main)
