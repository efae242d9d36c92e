/** A value that is there already, in most cases, or a promise of it: waiting without need costs every call something. */
export type Soon<Value> = Value | Promise<Value>

/** Goes on with a value: at once if it is there. */
export function soon<Value, Result>(value: Soon<Value>, next: (value: Value) => Soon<Result>): Soon<Result> {
  return value instanceof Promise ? value.then(next) : next(value)
}
