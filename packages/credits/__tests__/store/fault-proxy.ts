import { connect, createServer, type Server, type Socket } from 'node:net'

/** What happens to the next connections' answers: nothing, cut when the first byte comes, or never passed on. */
export type Fault = 'none' | 'cut-answer' | 'stall'

/** A TCP proxy that loses answers on command; requests always arrive. */
export interface FaultProxy {
  port: number
  fault: Fault
  /** Answers lost so far. */
  lost: number
  close(): Promise<void>
}

/** Stands between a client and `port` on this machine. */
export async function faultProxy(port: number): Promise<FaultProxy> {
  const sockets = new Set<Socket>()
  const proxy: FaultProxy = { port: 0, fault: 'none', lost: 0, close }
  const server: Server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.pipe(upstream)
    upstream.on('data', (chunk) => {
      if (proxy.fault === 'none') {
        client.write(chunk)
        return
      }
      proxy.lost += 1
      if (proxy.fault === 'cut-answer') client.destroy()
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
