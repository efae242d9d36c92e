/** Writes docs/errors.md from the table of error codes. With `--check` it only compares, and ends with 1 when it differs. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ERROR_CODES } from '../packages/credits/src/core/error-codes.ts'
import { root } from './lib/paths.ts'

const INTRODUCTION = `# Errors

<!-- Generated from packages/credits/src/core/error-codes.ts by \`node scripts/build-error-docs.ts\`. -->

Every failure has a stable code. Branch on the code, never on the text. The same code comes out of a direct SQL call
(\`SQLSTATE PT<status>\`, message = the code, detail = JSON), out of PostgREST (HTTP \`<status>\`), out of the library
(\`CreditError\`) and out of the HTTP handlers (\`application/problem+json\`, member \`code\`).

\`retryable\` means: repeating the same call with the same idempotency key may succeed and can do no harm.

\`details\` is typed by the code, so comparing the code is enough:

\`\`\`ts
import { CreditError } from '@layers/credits'

function upgradeUrlOf(error: unknown): string | undefined {
  if (CreditError.isInstance(error) && error.code === 'INSUFFICIENT_CREDITS') return error.details.upgradeUrl
  return undefined
}
\`\`\`

Over HTTP the details are members of the problem body. Those marked *server only* are not sent to clients. In the
browser, \`parseProblem\` turns a problem body, its text, or the error of \`useChat\` back into a \`CreditError\`. The
\`type\` of a problem body leads to \`GET /api/credits/errors\`, where the running app explains its codes, unless
\`errorsUrl\` names another place, such as a copy of this page.
`

interface Detail {
  kind: string
  description: string
  internal?: true
}

const TYPES: Record<string, string> = {
  credits: 'decimal string',
  text: 'string',
  integer: 'integer',
  texts: 'strings',
  limit: 'integer or decimal string',
  issues: 'list',
  object: 'object',
}

function page(): string {
  const rows = Object.entries(ERROR_CODES)
  const table = rows.map(([code, { status, sqlState, retryable }]) => {
    return `| [${code}](#${code.toLowerCase()}) | ${status} | ${sqlState ?? ''} | ${retryable ? 'yes' : 'no'} |`
  })
  const sections = rows.map(([code, { title, description, details }]) => {
    const list = (Object.entries(details) as [string, Detail][]).map(
      ([name, { kind, description: text, internal }]) => {
        return `- \`details.${name}\` (${TYPES[kind]}${internal ? ', *server only*' : ''}): ${text}.`
      },
    )
    return [`## ${code}`, `*${title}.*`, wrapped(description), ...(list.length > 0 ? [list.join('\n')] : [])].join(
      '\n\n',
    )
  })
  const head = '| code | HTTP | SQLSTATE | retryable |\n|---|---|---|---|'
  return `${[INTRODUCTION, [head, ...table].join('\n'), ...sections].join('\n\n').replaceAll('\n\n\n', '\n\n')}\n`
}

const COLUMNS = 118

function wrapped(text: string): string {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? ''
    if (line === '') lines[lines.length - 1] = word
    else if (line.length + 1 + word.length > COLUMNS) lines.push(word)
    else lines[lines.length - 1] = `${line} ${word}`
  }
  return lines.join('\n')
}

const path = join(root, 'docs/errors.md')
const expected = page()
if (!process.argv.includes('--check')) writeFileSync(path, expected)
else if (readFileSync(path, 'utf8') !== expected) {
  console.error('docs/errors.md is not what the table says: run `node scripts/build-error-docs.ts`')
  process.exitCode = 1
}
