import { call, type Json, type TestDatabase } from './database.ts'

const uuid = () => crypto.randomUUID()

/** The operations with fresh ids: a test names only what matters to it. */
export function operations(database: () => TestDatabase) {
  const run = <Result = Json>(name: string, args: Json) => call<Result>(database().service, `credits_${name}`, args)
  return {
    run,
    settle: (userId: string, id: string, amount?: string, rest: Json = {}) =>
      run('settle', {
        p_account_id: userId,
        p_reservation_id: id,
        ...(amount === undefined ? {} : { p_charge: { amount } }),
        ...rest,
      }),
    capture: (userId: string, id: string, amount: string, rest: Json = {}) =>
      run('capture', {
        p_account_id: userId,
        p_reservation_id: id,
        p_capture_id: uuid(),
        p_charge: { amount },
        ...rest,
      }),
    extend: (userId: string, id: string, amount: number, rest: Json = {}) =>
      run('extend', { p_account_id: userId, p_reservation_id: id, p_extension_id: uuid(), p_amount: amount, ...rest }),
    release: (userId: string, id: string) => run('release', { p_account_id: userId, p_reservation_id: id }),
    reservation: (userId: string, id: string) => run('get_reservation', { p_account_id: userId, p_reservation_id: id }),
    grant: (userId: string, amount: number, rest: Json = {}) =>
      run('grant', {
        p_account_id: userId,
        p_transaction_id: uuid(),
        p_amount: amount,
        p_source: 'purchase',
        p_bucket: 'add-on',
        ...rest,
      }),
    refund: (userId: string, originalId: string, amount?: number, rest: Json = {}) =>
      run('refund', {
        p_account_id: userId,
        p_transaction_id: uuid(),
        p_original_id: originalId,
        p_reason: 'late',
        ...(amount === undefined ? {} : { p_amount: amount }),
        ...rest,
      }),
  }
}
