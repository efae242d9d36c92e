/** Puts the migrations into the package, so that `credits init` can copy them into an app. */
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const target = join(import.meta.dirname, 'migrations')
rmSync(target, { recursive: true, force: true })
cpSync(join(import.meta.dirname, '../../supabase/migrations'), target, { recursive: true })
