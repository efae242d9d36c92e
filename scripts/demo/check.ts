/**
 * The main job, once, as a stranger's browser and an admin would do it. Every amount is recomputed from what the
 * provider counted, its price list and the margin, with arithmetic of its own (exact.ts).
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { styleText } from 'node:util'
import { root } from '../lib/paths.ts'
import { ACCOUNTS, createAccounts } from './accounts.ts'
import { creditsOf, decimal, exact } from './exact.ts'
import { newSession, type Session } from './session.ts'
import type { DemoStack } from './stack.ts'

const MODEL = 'anthropic/claude-sonnet-4.5'

/** Runs the check. True when every line passed. */
export async function check({ stack, webUrl }: { stack: DemoStack; webUrl: string }): Promise<boolean> {
  const report = new Report()
  const run = new Run(stack, webUrl, report)
  try {
    await run.signUp()
    await run.generate()
    await run.stream()
    await run.runDry()
    await run.changeMargin()
    await run.readHistory()
    await run.verifyLedger()
  } catch (error) {
    report.line('the check ran to its end', false, error instanceof Error ? error.message : String(error))
  }
  console.log(`${report.passed} passed, ${report.failed} failed`)
  return report.failed === 0
}

class Report {
  passed = 0
  failed = 0

  line(claim: string, holds: boolean, figures: string): void {
    if (holds) this.passed++
    else this.failed++
    console.log(`${holds ? styleText('green', 'ok  ') : styleText('red', 'FAIL')}  ${claim}: ${figures}`)
  }

  equal(claim: string, actual: unknown, expected: unknown): void {
    const holds = actual === expected
    this.line(claim, holds, holds ? String(actual) : `expected ${expected}, got ${actual}`)
  }
}

interface ProviderCall {
  id: string
  model: string
  units: { inputTokens?: number; outputTokens?: number }
}

interface HistoryRow {
  id: string
  version: number
  type: string
  source: string | null
  amount: string
  model: string | null
  inputTokens: number | null
  outputTokens: number | null
}

class Run {
  private readonly user: Session
  private readonly stack: DemoStack
  private readonly webUrl: string
  private readonly report: Report
  private margin = ''

  constructor(stack: DemoStack, webUrl: string, report: Report) {
    this.stack = stack
    this.webUrl = webUrl
    this.report = report
    this.user = this.session()
  }

  private session(): Session {
    const { url: supabaseUrl, publishableKey } = this.stack
    return newSession({ webUrl: this.webUrl, supabaseUrl, publishableKey })
  }

  async signUp(): Promise<void> {
    const anonymous = await fetch(new URL('/api/credits/balance', this.webUrl))
    this.report.equal('without a session the balance is refused', anonymous.status, 401)
    await signUp(this.user, `visitor-${Date.now()}@demo.test`)
    this.report.equal('a new user has credits', await available(this.user), '50')
  }

  async generate(): Promise<void> {
    this.margin = await this.readMargin()
    const before = await available(this.user)
    const response = await post(this.user, '/api/generate', { model: MODEL, prompt: 'Why does the sea look blue?' })
    const body = (await response.json()) as { text: string }
    this.report.line(
      'generateText answers',
      response.ok && body.text.length > 0,
      JSON.stringify(body.text.slice(0, 60)),
    )
    await this.compare('generateText', before)
  }

  async stream(): Promise<void> {
    const before = await available(this.user)
    const text = await this.chat(this.user, 'Tell me three facts about honey.')
    this.report.line('streamText answers', text.length > 0, JSON.stringify(text.slice(0, 60)))
    await this.compare('streamText', before)
  }

  /** Spends until the app refuses, then makes sure that the refused call never reached the provider. */
  async runDry(): Promise<void> {
    for (let call = 0; call < 200; call++) {
      const calls = (await this.providerCalls()).length
      const response = await post(this.user, '/api/generate', { model: MODEL, prompt: `${'Long story. '.repeat(400)}` })
      if (response.ok) continue
      const problem = (await response.json()) as Record<string, string>
      this.report.equal('too few credits answer', `${response.status} ${problem.code}`, '402 INSUFFICIENT_CREDITS')
      this.report.equal('the balance in it is the real one', problem.available, await available(this.user))
      const names = `available ${problem.available}, required ${problem.required}, upgrade ${problem.upgradeUrl}`
      const holds = Boolean(problem.upgradeUrl) && exact(problem.required ?? '0') > exact(problem.available ?? '0')
      this.report.line('the answer says what is missing', holds, names)
      this.report.equal('provider calls for the refused one', (await this.providerCalls()).length - calls, 0)
      return
    }
    this.report.line('the balance runs out', false, `after 200 calls ${await available(this.user)} credits are left`)
  }

  /** An admin doubles the margin; the next charge, of another user, follows it. */
  async changeMargin(): Promise<void> {
    await createAccounts(this.stack)
    const admin = this.session()
    const { error } = await admin.supabase.auth.signInWithPassword(ACCOUNTS.admin)
    if (error) throw error
    const refused = await put(this.user, '/api/admin/credits/margins', { marginPercent: '0' })
    this.report.equal('a user may not change the margin', refused.status, 403)
    const changed = await put(admin, '/api/admin/credits/margins', { marginPercent: '120', reason: 'demo' })
    this.report.equal('an admin may', changed.status, 200)
    this.margin = '120'
    const audit = (await (await admin.fetch('/api/admin/credits/audit?limit=1')).json()) as {
      data: { oldMarginPercent: string; newMarginPercent: string; reason: string }[]
    }
    const [entry] = audit.data
    const change = `${entry?.oldMarginPercent} -> ${entry?.newMarginPercent} (${entry?.reason})`
    this.report.equal('the audit log has the change', change, '60 -> 120 (demo)')

    const next = this.session()
    await signUp(next, `second-${Date.now()}@demo.test`)
    const before = await available(next)
    await this.untilMarginShows(next, before)
  }

  /** Prices are cached for a short life: the next charge after it must follow the new margin. */
  private async untilMarginShows(session: Session, before: string): Promise<void> {
    const response = await post(session, '/api/generate', { model: MODEL, prompt: 'Say it again.' })
    if (!response.ok) throw new Error(`generate answered ${response.status}: ${await response.text()}`)
    await this.compare('the next charge follows the new margin', before, session)
  }

  async readHistory(): Promise<void> {
    const rows: HistoryRow[] = []
    let pages = 0
    for (let cursor: string | null = ''; cursor !== null; pages++) {
      const page = await this.user.fetch(`/api/credits/history?limit=5${cursor && `&cursor=${cursor}`}`)
      const body = (await page.json()) as { data: HistoryRow[]; nextCursor: string | null }
      rows.push(...body.data)
      cursor = body.nextCursor
    }
    const sum = rows.reduce((total, { amount }) => total + exact(amount), 0n)
    this.report.equal('the history adds up to the balance', decimal(sum), await available(this.user))
    const versions = rows.map(({ version }) => version).join()
    const expected = rows.map((_, index) => rows.length - index).join()
    this.report.line('its numbers have no gap', versions === expected, `${rows.length} rows in ${pages} pages`)
    const first = rows.at(-1)
    this.report.equal('it begins with', `${first?.type} ${first?.source} ${first?.amount}`, 'grant signup 50')
  }

  async verifyLedger(): Promise<void> {
    const main = join(root, 'packages/credits/src/cli/main.ts')
    const env = { ...process.env, DATABASE_URL: this.stack.dbUrl }
    const result = await new Promise<{ code: number; output: string }>((resolve) => {
      const child = execFile(process.execPath, [main, 'verify', '--json'], { env }, (_error, stdout, stderr) =>
        resolve({ code: child.exitCode ?? 2, output: (stdout || stderr).trim().replace(/\s+/g, ' ') }),
      )
    })
    this.report.line('credits verify finds no fault in the ledger', result.code === 0, result.output.slice(0, 160))
  }

  /** What left the balance against what the provider counted, its price list and the margin say. */
  private async compare(claim: string, before: string, session = this.user): Promise<void> {
    const [call] = (await this.providerCalls()).slice(-1)
    if (!call) throw new Error('The provider was not called.')
    const { input, output } = await this.prices(call.model)
    const { inputTokens = 0, outputTokens = 0 } = call.units
    const usd = exact(input) * BigInt(inputTokens) + exact(output) * BigInt(outputTokens)
    const expected = decimal(creditsOf(usd, this.margin))
    const left = decimal(exact(before) - exact(await available(session)))
    this.report.equal(`${claim}: ${inputTokens} + ${outputTokens} tokens at ${this.margin} %, credits`, left, expected)
    const history = await session.fetch('/api/credits/history?limit=1')
    const [row] = ((await history.json()) as { data: HistoryRow[] }).data
    const recorded = `${row?.type} ${row?.model} ${row?.inputTokens} + ${row?.outputTokens} tokens`
    this.report.equal(
      `${claim}: one transaction`,
      recorded,
      `usage ${call.model} ${inputTokens} + ${outputTokens} tokens`,
    )
  }

  private async providerCalls(): Promise<ProviderCall[]> {
    const response = await fetch(`${this.stack.gatewayUrl}/_dev/journal`)
    return ((await response.json()) as { entries: ProviderCall[] }).entries
  }

  private async prices(model: string): Promise<{ input: string; output: string }> {
    const response = await fetch(new URL('/v1/models', this.stack.url))
    const { data } = (await response.json()) as { data: { id: string; pricing: { input: string; output: string } }[] }
    const found = data.find(({ id }) => id === model)
    if (!found) throw new Error(`${model} is not in the price list.`)
    return found.pricing
  }

  private async readMargin(): Promise<string> {
    await createAccounts(this.stack)
    const admin = this.session()
    const { error } = await admin.supabase.auth.signInWithPassword(ACCOUNTS.admin)
    if (error) throw error
    const response = await admin.fetch('/api/admin/credits/margins')
    const body = (await response.json()) as { default: { marginPercent: string } }
    this.report.equal('the seeded default margin', body.default.marginPercent, '60')
    return body.default.marginPercent
  }

  private async chat(session: Session, text: string): Promise<string> {
    const messages = [{ id: 'm1', role: 'user', parts: [{ type: 'text', text }] }]
    const response = await post(session, '/api/chat', { id: 'demo', model: MODEL, messages })
    if (!response.ok) throw new Error(`chat answered ${response.status}: ${await response.text()}`)
    const parts = (await response.text()).split('\n').flatMap((line) => {
      const json = /^data: (\{.*\})$/.exec(line)?.[1]
      return json ? [JSON.parse(json) as { type: string; delta?: string }] : []
    })
    return parts.map(({ type, delta }) => (type === 'text-delta' ? delta : '')).join('')
  }
}

async function signUp(session: Session, email: string): Promise<void> {
  const { data, error } = await session.supabase.auth.signUp({ email, password: 'demo-visitor-1' })
  if (error || !data.session) throw error ?? new Error('The sign-up gave no session.')
}

async function available(session: Session): Promise<string> {
  const response = await session.fetch('/api/credits/balance')
  if (!response.ok) throw new Error(`balance answered ${response.status}: ${await response.text()}`)
  return ((await response.json()) as { available: string }).available
}

const post = (session: Session, path: string, body: unknown) =>
  session.fetch(path, { method: 'POST', body: JSON.stringify(body) })

const put = (session: Session, path: string, body: unknown) =>
  session.fetch(path, { method: 'PUT', body: JSON.stringify(body) })
