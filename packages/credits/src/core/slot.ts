/** A value tied to an object, invisible to everybody else, for as long as the object lives. */
export interface Slot<Value> {
  get(object: object): Value | undefined
  set(object: object, value: Value): void
}

/** Constructs what it is given, so that a private field of a subclass ends up there. */
class Given {
  constructor(object: object) {
    // biome-ignore lint/correctness/noConstructorReturn: this is the point of the class
    return object
  }
}

/**
 * A `WeakMap` for objects that are made by the thousand. The value is kept in the object itself, as a private field
 * that no spread copies and nobody can forge: some twenty times cheaper than an entry of a map, which has to be hashed,
 * grown and visited by every garbage collection.
 */
export function slot<Value>(): Slot<Value> {
  // A frozen object may refuse new private fields, as a proposal before TC39 wants it.
  const frozen = new WeakMap<object, Value>()
  class Holder extends Given {
    #value: Value
    constructor(object: object, value: Value) {
      super(object)
      this.#value = value
    }
    static get(object: object): Value | undefined {
      return #value in object ? object.#value : undefined
    }
    /** False where there is no field to write to yet. */
    static replace(object: object, value: Value): boolean {
      if (!(#value in object)) return false
      object.#value = value
      return true
    }
  }
  return {
    get: (object) => Holder.get(object) ?? frozen.get(object),
    set(object, value) {
      if (Holder.replace(object, value)) return
      if (Object.isExtensible(object)) new Holder(object, value)
      else frozen.set(object, value)
    },
  }
}
