import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { blockedParent } from './unprivileged.ts'

describe('the way to a folder', () => {
  let root = ''
  beforeAll(() => {
    root = mkdtempSync(path.join(os.tmpdir(), 'way-'))
    chmodSync(root, 0o755)
    mkdirSync(path.join(root, 'closed', 'inner'), { recursive: true })
    chmodSync(path.join(root, 'closed'), 0o700)
  })
  afterAll(() => rmSync(root, { recursive: true }))
  const stranger = { uid: 60_001, gid: 60_001 }

  it('is blocked by the first folder that the user may not enter', () => {
    expect(blockedParent(path.join(root, 'closed', 'inner', 'new'), stranger)).toBe(path.join(root, 'closed'))
  })

  it('is open where everybody may enter, also for folders that do not exist yet', () => {
    expect(blockedParent(path.join(root, 'new', 'deeper'), stranger)).toBeUndefined()
  })

  it('is of no concern when servers run as the current user', () => {
    expect(blockedParent(path.join(root, 'closed', 'inner'), {})).toBeUndefined()
  })
})
