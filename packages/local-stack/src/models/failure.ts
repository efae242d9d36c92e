/** A refusal of the gateway, in its own shape. */
export class GatewayFailure extends Error {
  readonly status: number
  readonly type: string
  readonly param: unknown

  constructor(status: number, message: string, options: { type?: string; param?: unknown } = {}) {
    super(message)
    this.name = 'GatewayFailure'
    this.status = status
    this.type = options.type ?? TYPES[status] ?? 'internal_server_error'
    this.param = options.param
  }

  /** The JSON body that the gateway client understands. */
  body(generationId?: string): Record<string, unknown> {
    const error = { message: this.message, type: this.type, param: this.param ?? null }
    return { error, ...(generationId === undefined ? {} : { generationId }) }
  }
}

const TYPES: Record<number, string> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  402: 'insufficient_funds',
  403: 'forbidden',
  404: 'not_found',
  424: 'failed_dependency',
  429: 'rate_limit_exceeded',
}

/** A failure that a scenario asked for. */
export function scriptedFailure(status: number): GatewayFailure {
  const words: Record<number, string> = {
    402: 'Insufficient funds. Please add credits to your account.',
    429: 'Rate limit exceeded. Please try again later.',
    503: 'The provider is overloaded. Please try again later.',
  }
  return new GatewayFailure(status, words[status] ?? `Scripted failure with status ${status}`)
}
