import { newSession, type Session } from '../../../../scripts/demo/session.ts'
import { startWeb, type Web } from '../../../../scripts/demo/web.ts'
import { newWorld, type Person, type World } from './setup.ts'

/** A world with the built web app in front of it. */
export interface WebWorld extends World {
  web: Web
  /** A browser without a session. */
  browser(): Session
  /** A browser in which this person has signed in. */
  signedIn(person: Person): Promise<Session>
}

export async function newWebWorld(): Promise<WebWorld> {
  const world = await newWorld()
  const web = await startWeb({ stack: world.stack, port: 0 })
  const browser = () =>
    newSession({ webUrl: web.url, supabaseUrl: world.stack.url, publishableKey: world.stack.publishableKey })
  return {
    ...world,
    web,
    browser,
    signedIn: async ({ email, password }) => {
      const session = browser()
      const { error } = await session.supabase.auth.signInWithPassword({ email, password })
      if (error) throw error
      return session
    },
    end: async () => {
      await web.stop()
      await world.end()
    },
  }
}

/** A JSON request in a browser's name. */
export function send(session: Session, method: string, path: string, body?: unknown): Promise<Response> {
  return session.fetch(path, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
}
