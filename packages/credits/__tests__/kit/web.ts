import { newSession, type Session } from '../../../../scripts/demo/session.ts'
import { startWeb, type Web } from '../../../../scripts/demo/web.ts'
import { createTestStack, type TestStack, type TestUser } from './stack.ts'

/** A stack with the built web app in front of it. */
export interface TestApp extends TestStack {
  web: Web
  /** A browser without a session. */
  browser(): Session
  /** A browser in which this user has signed in. */
  signedIn(user: Pick<TestUser, 'email' | 'password'>): Promise<Session>
}

/** Starts a stack and the web app, which must have been built. */
export async function createTestApp(): Promise<TestApp> {
  const test = await createTestStack()
  const web = await startWeb({ stack: test.stack, port: 0 })
  const browser = () =>
    newSession({ webUrl: web.url, supabaseUrl: test.stack.url, publishableKey: test.stack.publishableKey })
  return {
    ...test,
    web,
    browser,
    async signedIn({ email, password }) {
      const session = browser()
      const { error } = await session.supabase.auth.signInWithPassword({ email, password })
      if (error) throw error
      return session
    },
    async stop() {
      await web.stop()
      await test.stop()
    },
  }
}

/** A JSON request with the session of a browser. */
export function send(session: Session, method: string, path: string, body?: unknown): Promise<Response> {
  return session.fetch(path, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
}
