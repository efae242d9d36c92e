#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import { layoutFor, requireRunning } from '../cli/shared.ts'
import { messageOf, StackError } from '../errors.ts'
import { DEFAULT_PORT } from '../options.ts'
import { platformOf } from './connect.ts'
import { createServer } from './http.ts'

// The flags are those of the hosted server's own command line.
const { values } = parseArgs({
  options: {
    port: { type: 'string', default: String(DEFAULT_PORT) },
    'data-dir': { type: 'string' },
    'project-ref': { type: 'string' },
    'read-only': { type: 'boolean', default: false },
    features: { type: 'string' },
  },
})

try {
  const layout = layoutFor(values)
  const platform = platformOf(requireRunning(layout), layout)
  const scope = {
    projectRef: values['project-ref'],
    readOnly: values['read-only'],
    features: values.features?.split(','),
  }
  serveStdio(() => createServer(platform, scope), { onerror: (error) => process.stderr.write(`${error.message}\n`) })
} catch (error) {
  // Standard output belongs to the protocol.
  const hint = error instanceof StackError ? `\n${error.hint ?? ''}` : ''
  process.stderr.write(`${messageOf(error)}${hint}\n`)
  process.exitCode = 1
}
