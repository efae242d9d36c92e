import { createServer, type IncomingHttpHeaders, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** One request that passed a {@link Relay}. */
export interface RelayedRequest {
  method: string
  path: string
  headers: IncomingHttpHeaders
  body: string
}

/** An HTTP relay in front of the stack: it can be cut, and it remembers what passed. */
export interface Relay {
  url: string
  /** Where requests go; set once the stack is there. */
  target: string
  /** False: connections are dropped, as with a database that is down. */
  isUp: boolean
  requests: RelayedRequest[]
  stop(): Promise<void>
}

export async function startRelay(): Promise<Relay> {
  const server = createServer((incoming, outgoing) => {
    if (!relay.isUp) return void incoming.socket.destroy()
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const body = Buffer.concat(chunks)
      const { method = 'GET', url: path = '/', headers } = incoming
      relay.requests.push({ method, path, headers, body: body.toString() })
      const upstream = request(new URL(path, relay.target), { method, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(outgoing)
      })
      upstream.on('error', () => outgoing.destroy())
      upstream.end(body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const relay: Relay = { url, target: '', isUp: true, requests: [], stop: () => close(server) }
  return relay
}

function close(server: Server): Promise<void> {
  server.closeAllConnections()
  return new Promise((resolve) => server.close(() => resolve()))
}
