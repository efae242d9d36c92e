import { describe, it } from 'vitest'
import { describeCreditStore, memoryHarness } from '../../testing/index.ts'

describeCreditStore('memoryStore', memoryHarness, { describe, it })
