import { CreditError } from '../core/errors.ts'
import { balanceIs, type ContractCase, chargeOf, grant, newId, refused, reserve, settle } from './case.ts'

/** Malformed input. */
export const inputCases: readonly ContractCase[] = [
  {
    claim: 'what is not an amount of credits is refused everywhere and changes nothing',
    async run(harness) {
      const userId = await harness.createUser()
      const reserved = await reserve(harness, userId, '10')
      const { reservationId } = reserved
      for (const amount of ['NaN', 'Infinity', '-1', '0.0000001', '1000000000001', 'abc', '', '1,5']) {
        await refused(reserve(harness, userId, amount), 'INVALID_INPUT')
        await refused(reserve(harness, userId, '1', { minimumAmount: amount }), 'INVALID_INPUT')
        await refused(grant(harness, userId, amount), 'INVALID_INPUT')
        await refused(settle(harness, reserved, amount), 'INVALID_INPUT')
        const key = { userId, reservationId }
        const capture = { ...key, captureId: newId(), charge: chargeOf(amount) }
        await refused(harness.store.capture(capture), 'INVALID_INPUT')
        const extension = { ...key, extensionId: newId(), amount, ttlSeconds: 60 }
        await refused(harness.store.extend(extension), 'INVALID_INPUT')
      }
      await balanceIs(harness, userId, { available: '40', reserved: '10', version: 1 })
    },
  },
  {
    claim: 'zero is refused where credits have to move: extend, grant, adjust, refund and reverse',
    async run(harness) {
      const userId = await harness.createUser()
      const { reservationId } = await reserve(harness, userId, '10')
      const { store } = harness
      await refused(
        store.extend({ userId, reservationId, extensionId: newId(), amount: '0', ttlSeconds: 60 }),
        'INVALID_INPUT',
      )
      await refused(grant(harness, userId, '0'), 'INVALID_INPUT')
      const { transaction } = await grant(harness, userId, '1')
      const input = { userId, transactionId: newId(), amount: '0', reason: 'nothing' }
      await refused(store.adjust(input), 'INVALID_INPUT')
      await refused(store.reverse({ ...input, originalId: transaction.id }), 'INVALID_INPUT')
      const usage = await settle(harness, { userId, reservationId }, '1')
      await refused(store.refund({ ...input, originalId: usage.transaction?.id ?? '' }), 'INVALID_INPUT')
      await balanceIs(harness, userId, { available: '50', version: 3 })
    },
  },
  {
    claim: 'ids, lives and limits out of range are refused',
    async run(harness) {
      const userId = await harness.createUser()
      const { store } = harness
      await refused(store.getBalance({ userId: 'not a UUID' }), 'INVALID_INPUT')
      await refused(reserve(harness, userId, '1', { reservationId: 'not a UUID' }), 'INVALID_INPUT')
      await refused(store.getHistory({ userId, limit: 0 }), 'INVALID_INPUT')
      await refused(store.getHistory({ userId, limit: 201 }), 'INVALID_INPUT')
      await refused(reserve(harness, userId, '1', { ttlSeconds: 0 }), 'INVALID_INPUT')
      await refused(reserve(harness, userId, '1', { ttlSeconds: 86_401 }), 'INVALID_INPUT')
      const { reservationId } = await reserve(harness, userId, '1')
      const capture = { userId, reservationId, captureId: reservationId, charge: chargeOf('1') }
      await refused(store.capture(capture), 'INVALID_INPUT')
    },
  },
  {
    claim: 'a refusal of input names its issues with path and message',
    async run(harness) {
      const userId = await harness.createUser()
      const error = await reserve(harness, userId, '-1').catch((thrown: unknown) => thrown)
      if (!CreditError.isInstance(error) || error.code !== 'INVALID_INPUT') throw error
      const { issues } = error.details
      const isIssue = (issue: unknown) =>
        typeof issue === 'object' && issue !== null && 'path' in issue && 'message' in issue
      if (!Array.isArray(issues) || issues.length === 0 || !issues.every(isIssue)) {
        throw new Error(`expected details.issues, got ${JSON.stringify(error.details)}`)
      }
    },
  },
]
