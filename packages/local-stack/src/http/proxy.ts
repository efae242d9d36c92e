import { Agent, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { messageOf } from '../errors.ts'
import { HOST } from '../process/ports.ts'
import { CORS, replyJson } from './reply.ts'

/** Passes requests on to PostgREST. */
export interface RestProxy {
  forward(req: IncomingMessage, res: ServerResponse, path: string): void
  close(): void
}

/** Keeps connections to `port` open, so that a request costs no handshake. */
export function createProxy(port: () => number): RestProxy {
  const agent = new Agent({ keepAlive: true, maxSockets: 128 })
  const portOrRefusal = (res: ServerResponse) => {
    try {
      return port()
    } catch (error) {
      replyJson(res, 503, { message: `The REST server cannot be reached: ${messageOf(error)}` })
      return undefined
    }
  }
  return {
    forward(req, res, path) {
      const target = portOrRefusal(res)
      if (target === undefined) return
      const headers = { ...req.headers, host: `${HOST}:${target}` }
      const upstream = request({ host: HOST, port: target, method: req.method, path, headers, agent }, (answer) => {
        res.writeHead(answer.statusCode ?? 502, { ...answer.headers, ...CORS })
        answer.pipe(res)
        answer.on('error', () => res.destroy())
      })
      upstream.on('error', (error) => {
        replyJson(res, 503, { message: `The REST server cannot be reached: ${error.message}` })
        res.end()
      })
      res.on('close', () => {
        if (!res.writableFinished) upstream.destroy()
      })
      req.pipe(upstream)
    },
    close: () => agent.destroy(),
  }
}
