import { connect, createServer, type Server, type Socket } from 'node:net'

/**
 * What happens to the traffic of all connections:
 * - `none`: everything is passed on.
 * - `cut-answer`: the connection is cut when an answer comes; the request has arrived.
 * - `stall`: answers are never passed on.
 * - `cut-commit`: the connection is cut when the answer to a COMMIT comes; the transaction is stored.
 * - `lose-commit`: the connection is cut instead of passing a COMMIT on; the transaction is not stored.
 */
export type Fault = 'none' | 'cut-answer' | 'stall' | 'cut-commit' | 'lose-commit'

/** A TCP proxy that loses answers, or COMMITs of Postgres, on command. */
export interface FaultProxy {
  port: number
  fault: Fault
  /** Answers and COMMITs lost so far. */
  lost: number
  close(): Promise<void>
}

/** Stands between a client and `port` on this machine. */
export async function faultProxy(port: number): Promise<FaultProxy> {
  const sockets = new Set<Socket>()
  const proxy: FaultProxy = { port: 0, fault: 'none', lost: 0, close }
  const server: Server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    const cut = () => {
      proxy.lost += 1
      client.destroy()
      upstream.destroy()
    }
    const sendsCommit = commitDetector()
    // PostgREST reads its schema cache in transactions too; only those that call one of our functions are cut.
    let callsFunction = false
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.on('data', (chunk) => {
      callsFunction ||= chunk.includes('p_account_id')
      const isCommit = sendsCommit(chunk)
      if (isCommit && callsFunction && proxy.fault === 'lose-commit') cut()
      else upstream.write(chunk)
    })
    upstream.on('data', (chunk) => {
      const isCommitted = callsFunction && chunk.includes(COMMIT_COMPLETE)
      if (proxy.fault === 'stall') proxy.lost += 1
      else if (proxy.fault === 'cut-answer' || (isCommitted && proxy.fault === 'cut-commit')) cut()
      else client.write(chunk)
      if (isCommitted) callsFunction = false
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')
  proxy.port = address.port
  return proxy

  async function close(): Promise<void> {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
}

/** The tag of Postgres' answer to a COMMIT. */
const COMMIT_COMPLETE = 'COMMIT\0'

/**
 * Recognises a COMMIT on one connection to Postgres. PostgREST prepares it once (Parse: name, text) and names it from
 * then on (Bind: portal, name).
 */
function commitDetector(): (chunk: Buffer) => boolean {
  let name: string | undefined
  return (chunk) => {
    const text = chunk.toString('latin1')
    name = /P[\s\S]{4}([^\0]*)\0COMMIT\0/.exec(text)?.[1] ?? name
    return name !== undefined && text.includes(`\0${name}\0`)
  }
}
