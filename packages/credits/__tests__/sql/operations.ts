import { call, type Ground, type Json } from './ground.ts'

const uuid = () => crypto.randomUUID()

/** The operations as the tests of one ground call them: fresh ids, only what matters said. */
export function operations(ground: () => Ground) {
  const run = <Result = Json>(name: string, args: Json) => call<Result>(ground().service, `credits_${name}`, args)
  return {
    run,
    settle: (id: string, amount?: string) =>
      run('settle', { p_reservation_id: id, ...(amount === undefined ? {} : { p_charge: { amount } }) }),
    capture: (id: string, amount: string, rest: Json = {}) =>
      run('capture', { p_reservation_id: id, p_capture_id: uuid(), p_charge: { amount }, ...rest }),
    extend: (id: string, amount: number, rest: Json = {}) =>
      run('extend', { p_reservation_id: id, p_extension_id: uuid(), p_amount: amount, ...rest }),
    grant: (userId: string, amount: number, rest: Json = {}) =>
      run('grant', {
        p_transaction_id: uuid(),
        p_user_id: userId,
        p_amount: amount,
        p_source: 'purchase',
        p_bucket: 'add-on',
        ...rest,
      }),
    /** All transactions, newest first. */
    ledger: async (userId: string) =>
      (await run<{ data: Json[] }>('get_history', { p_user_id: userId, p_limit: 200 })).data,
  }
}
