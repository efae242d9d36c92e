#!/usr/bin/env node
import { existsSync } from 'node:fs'

// In a checkout the command runs from its sources; the published package carries only what was built from them.
const source = new URL('../src/cli/main.ts', import.meta.url)
await import(existsSync(source) ? source.href : '../dist/cli/main.js')
