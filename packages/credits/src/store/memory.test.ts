import { describe, it } from 'vitest'
import { describeCreditStore, memoryHarness } from '../testing.ts'

describeCreditStore('memoryStore', memoryHarness, { describe, it })
