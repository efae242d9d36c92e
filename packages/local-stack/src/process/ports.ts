import { createServer } from 'node:net'
import { messageOf, StackError } from '../errors.ts'

/** The only address anything of the stack listens on: its keys are public constants. */
export const HOST = '127.0.0.1'

// Below the range that outgoing connections take their ports from (32768 and up on Linux): one of them could come
// between the look and the use.
const [LOWEST, HIGHEST] = [15_000, 32_000]

/** A TCP port without a listener at this moment; with `count`, the first of so many in a row. */
export async function freePort(count = 1): Promise<number> {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST))
    try {
      for (let next = port; next < port + count; next++) await listenOnce(next)
      return port
    } catch {
      // Taken; there are thousands more.
    }
  }
}

/**
 * Says clearly which port is taken, before anything was started that would have to be undone.
 *
 * @throws StackError `PORT_IN_USE`
 */
export async function requireFreePort(port: number, what: string): Promise<void> {
  try {
    await listenOnce(port)
  } catch (error) {
    throw new StackError('PORT_IN_USE', `Port ${port} (${what}) cannot be used: ${messageOf(error)}.`, {
      hint: `Stop what listens on it ("pnpm stack stop --port N" for another local stack), or choose another port with --port N (the database takes N + 1).`,
      cause: error,
    })
  }
}

function listenOnce(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(port, HOST, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port))
    })
  })
}
