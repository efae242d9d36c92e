import { createServer as createHttpServer, type IncomingMessage, request } from 'node:http'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { sleep } from './operations.ts'
import type { Random } from './random.ts'

/** What can happen to a connection. */
export type WireFault = 'cut' | 'reset' | 'half-close' | 'stall' | 'trickle'

const FAULTS: readonly WireFault[] = ['cut', 'reset', 'half-close', 'stall', 'trickle']

/** A proxy that runs. */
export interface WireProxy {
  port: number
  /** Injects no further fault; connections stay. */
  stopFaults(): void
  close(): Promise<void>
}

/** Which faults to inject, and how often. */
export interface FaultyProxyOptions {
  targetPort: number
  random: Random
  /** For each piece of data in either direction. */
  probability: number
  /** How long a stalled connection stays silent before it is cut. */
  stallMs: number
  onFault: (fault: WireFault, direction: 'request' | 'response') => void
}

/** A TCP proxy that cuts, resets, half-closes, stalls and trickles, in both directions. */
export async function faultyProxy(options: FaultyProxyOptions): Promise<WireProxy> {
  const sockets = new Set<Socket>()
  let stopped = false
  const server = createServer({ noDelay: true }, (client) => {
    const target = connect({ host: '127.0.0.1', port: options.targetPort, noDelay: true })
    for (const socket of [client, target]) {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      socket.on('error', () => undefined)
    }
    relay(client, target, 'request')
    relay(target, client, 'response')
  })

  function relay(from: Socket, to: Socket, direction: 'request' | 'response'): void {
    from.on('data', (data) => {
      if (stopped || !options.random.chance(options.probability)) {
        if (to.writable) to.write(data)
        return
      }
      const fault = options.random.pick(FAULTS)
      options.onFault(fault, direction)
      void inject(fault, from, to, data)
    })
    from.on('end', () => to.end())
    from.on('close', () => to.destroy())
  }

  async function inject(fault: WireFault, from: Socket, to: Socket, data: Buffer): Promise<void> {
    switch (fault) {
      case 'cut':
        // The half that arrives may be enough for the other side to act.
        to.write(data.subarray(0, data.length >> 1))
        from.destroy()
        return
      case 'reset':
        from.resetAndDestroy()
        to.resetAndDestroy()
        return
      case 'half-close':
        to.end(data)
        return
      case 'stall':
        from.pause()
        await sleep(options.stallMs)
        from.destroy()
        return
      case 'trickle':
        from.pause()
        for (const byte of data.subarray(0, 200)) {
          if (to.writable) to.write(Buffer.of(byte))
          await sleep(0)
        }
        if (to.writable) to.write(data.subarray(200))
        from.resume()
    }
  }

  const port = await listening(server)
  return {
    port,
    stopFaults: () => {
      stopped = true
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Which requests to repeat, and when. */
export interface ReplayingProxyOptions {
  /** Origin to forward to. */
  target: string
  random: Random
  probability: number
  /** The longest delay of a repetition. */
  withinMs: number
  onReplay: () => void
}

/** A proxy that repeats requests. */
export interface ReplayingProxy extends WireProxy {
  /** Repetitions so far, the delayed ones included. */
  planned(): number
  /** Resolves when every repetition has been delivered. */
  drained(): Promise<void>
}

/** An HTTP proxy that repeats some requests, later and out of order, as networks and queues do. */
export async function replayingProxy(options: ReplayingProxyOptions): Promise<ReplayingProxy> {
  const repetitions = new Set<Promise<unknown>>()
  let planned = 0
  const server = createHttpServer(async (incoming, outgoing) => {
    const body = await collect(incoming)
    const again = (): Promise<Forwarded> => forward(options.target, incoming, body)
    if (incoming.method === 'POST' && options.random.chance(options.probability)) {
      const replay = sleep(options.random.between(0, options.withinMs))
        .then(again)
        .then(options.onReplay, () => undefined)
        .finally(() => repetitions.delete(replay))
      repetitions.add(replay)
      planned += 1
    }
    const { status, headers, data } = await again()
    outgoing.writeHead(status, headers).end(data)
  })
  const port = await listening(server)
  return {
    port,
    stopFaults: () => undefined,
    planned: () => planned,
    drained: async () => {
      await Promise.all(repetitions)
    },
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

interface Forwarded {
  status: number
  headers: IncomingMessage['headers']
  data: Buffer
}

function forward(target: string, incoming: IncomingMessage, body: Buffer): Promise<Forwarded> {
  return new Promise((resolve, reject) => {
    const { method, headers, url } = incoming
    const outgoing = request(new URL(url ?? '/', target), { method, headers }, async (answer) => {
      resolve({ status: answer.statusCode ?? 502, headers: answer.headers, data: await collect(answer) })
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

async function collect(stream: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

async function listening(
  server: ReturnType<typeof createServer> | ReturnType<typeof createHttpServer>,
): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}
