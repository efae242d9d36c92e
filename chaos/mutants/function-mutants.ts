import type pg from 'pg'
import { readGuards } from '../runner/guards.ts'
import { endsOperand, leftOperand, rightOperand, type Token, tokenize } from './tokenizer.ts'

/** One change in one function. */
export interface FunctionMutant {
  /** `guard lock-account of ...`, or `comparison of ...: lot.expires_at <= p_at -> <`. */
  name: string
  kind: 'guard' | 'check' | 'comparison' | 'sign' | 'search path'
  /** The function that is changed. */
  owner: string
  /** The guard that is removed, or the operands around the changed operator. */
  place: string
  /** Statements that make the change. */
  sql: string
}

/** A changed piece of the body of a function. */
interface Change {
  kind: FunctionMutant['kind']
  place: string
  start: number
  end: number
  text: string
}

/** Every function mutant: one for each marked guard, check, comparison, sign and search path. */
export async function functionMutants(client: pg.Client | pg.Pool): Promise<FunctionMutant[]> {
  const guards = readGuards()
    .filter(({ removal }) => removal.startsWith('create or replace function'))
    .map(({ name, owner, removal }): FunctionMutant => {
      return { name: `guard ${name} of ${owner}`, kind: 'guard', owner, place: name, sql: removal }
    })
  const { rows } = await client.query<{ name: string; definition: string; body: string; definer: boolean }>(`
    select n.nspname || '.' || p.proname as name, pg_get_functiondef(p.oid) as definition, p.prosrc as body,
      p.prosecdef as definer
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where (n.nspname = 'credits_private' or (n.nspname = 'public' and p.proname like 'credits\\_%')) and p.prokind = 'f'
    order by 1`)
  return [
    ...guards,
    ...rows.flatMap(({ name: owner, definition, body, definer }) => {
      const changed = changesOf(body).map((change) => mutantOf({ owner, definition, body }, change))
      return definer ? [...changed, withoutSearchPath(owner)] : changed
    }),
  ]
}

function mutantOf(
  { owner, definition, body }: { owner: string; definition: string; body: string },
  { kind, place, start, end, text }: Change,
): FunctionMutant {
  const mutated = body.slice(0, start) + text + body.slice(end)
  const name = `${kind} of ${owner}: ${place}${text === '' ? '' : ` -> ${text}`}`
  return { name, kind, owner, place, sql: definition.replace(body, () => mutated) }
}

function withoutSearchPath(owner: string): FunctionMutant {
  const sql = `alter function ${owner} reset search_path`
  return { name: `search path of ${owner}`, kind: 'search path', owner, place: 'search_path', sql }
}

function changesOf(body: string): Change[] {
  const tokens = tokenize(body).filter(({ kind }) => kind !== 'space' && kind !== 'comment')
  return [...operatorChanges(tokens), ...missingChecks(tokens)]
}

const AT_THE_EDGE: Readonly<Record<string, string>> = { '<': '<=', '<=': '<', '>': '>=', '>=': '>' }
const OPPOSITE: Readonly<Record<string, string>> = { '+': '-', '-': '+' }

/** A comparison that decides differently when both sides are equal, or a sum with the other sign. */
function operatorChanges(tokens: readonly Token[]): Change[] {
  return tokens.flatMap((token, index) => {
    if (token.kind !== 'operator' || !endsOperand(tokens[index - 1])) return []
    const comparison = AT_THE_EDGE[token.text]
    const text = comparison ?? OPPOSITE[token.text]
    // With a string at its right, `-` removes a key of a JSON object.
    if (text === undefined || tokens[index + 1]?.kind === 'string') return []
    const place = `${leftOperand(tokens, index)} ${token.text} ${rightOperand(tokens, index)}`
    const kind = comparison ? 'comparison' : 'sign'
    return [{ kind, place, start: token.start, end: token.start + token.text.length, text }]
  })
}

/** A call of a check that is left out: `perform credits_private.check_amount(...);`. */
function missingChecks(tokens: readonly Token[]): Change[] {
  return tokens.flatMap((token, index) => {
    const called = tokens[index + 3]
    if (token.text !== 'perform' || !called?.text.startsWith('check_')) return []
    const end = tokens.slice(index).find(({ text }) => text === ';')
    if (!end) return []
    const argument = tokens.slice(index, tokens.indexOf(end)).find(({ kind }) => kind === 'string')
    const place = `${called.text}${argument ? ` ${argument.text}` : ''}`
    return [{ kind: 'check', place, start: token.start, end: end.start + 1, text: '' }]
  })
}
