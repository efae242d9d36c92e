#!/usr/bin/env node
import { defineCommand, runMain } from 'citty'

const main = defineCommand({
  meta: {
    name: 'stack',
    description: 'The local stack: Postgres, PostgREST, auth and a model gateway behind one URL. For development only.',
  },
  // Loaded when called: most commands need none of the servers' code.
  subCommands: {
    start: () => import('./cli/start.ts').then((module) => module.start),
    stop: () => import('./cli/stop.ts').then((module) => module.stop),
    status: () => import('./cli/status.ts').then((module) => module.status),
    env: () => import('./cli/env.ts').then((module) => module.env),
    logs: () => import('./cli/logs.ts').then((module) => module.logs),
  },
})

await runMain(main)
