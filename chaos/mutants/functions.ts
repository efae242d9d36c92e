import type pg from 'pg'

/** One change in one function. */
export interface FunctionMutant {
  name: string
  kind: 'lock' | 'check' | 'comparison' | 'sign' | 'condition' | 'definer'
  definition: string
}

interface Operator {
  kind: FunctionMutant['kind']
  pattern: RegExp
  replace: (match: string) => string
  what: (match: string) => string
}

const short = (text: string): string => text.replaceAll(/\s+/g, ' ').trim().slice(0, 70)
const dropped = (match: string): string => `without: ${short(match)}`
const SWAPPED: Record<string, string> = { '<': '<=', '<=': '<', '>': '>=', '>=': '>' }
const swap = (match: string): string => match.replace(/<=|>=|<|>/, (sign) => SWAPPED[sign] ?? sign)
const flip = (match: string): string => match.replace(/[+-]/, (sign) => (sign === '+' ? '-' : '+'))

const OPERATORS: readonly Operator[] = [
  { kind: 'lock', pattern: /\bfor update( of \w+)?( skip locked)?/gi, replace: () => '', what: dropped },
  { kind: 'lock', pattern: /perform pg_advisory_xact_lock[^;]*;/gi, replace: () => '', what: dropped },
  {
    kind: 'check',
    pattern: /if (?:(?!\bthen\b|;)[\s\S])*?\bthen\s+perform credits_private\.fail\((?:[^;']|'[^']*')*\);\s*end if;/gi,
    replace: () => '',
    what: dropped,
  },
  {
    kind: 'check',
    pattern: /perform credits_private\.check_\w+\((?:[^;']|'[^']*')*\);/gi,
    replace: () => '',
    what: dropped,
  },
  // Conditions of the conditional UPDATE: the balance check itself among them.
  { kind: 'condition', pattern: /^ {4}and (?:not )?[as]\.[^\n]*$/gim, replace: () => '', what: dropped },
  {
    kind: 'comparison',
    pattern: / (?:<=|>=|<|>) (?=[\w(-])/g,
    replace: swap,
    what: (match) => `${match.trim()} -> ${swap(match).trim()}`,
  },
  {
    kind: 'sign',
    pattern: /:= [^;\n]*? [+-] /g,
    replace: (match) => match.slice(0, -3) + flip(match.slice(-3)),
    what: (match) => `sign: ${short(match)}`,
  },
  { kind: 'definer', pattern: /^ SET search_path TO ''$/gim, replace: () => '', what: dropped },
]

/** Every function of ours with one change at a time; whitespace and comments are left alone. */
export async function functionMutants(client: pg.Client | pg.Pool): Promise<FunctionMutant[]> {
  const { rows } = await client.query<{ name: string; definition: string; definer: boolean }>(`
    select p.oid::regproc::text as name, pg_get_functiondef(p.oid) as definition, p.prosecdef as definer
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where (n.nspname = 'credits_private' or (n.nspname = 'public' and p.proname like 'credits\\_%')) and p.prokind = 'f'
    order by 1`)
  return rows.flatMap(({ name, definition, definer }) =>
    OPERATORS.flatMap(({ kind, pattern, replace, what }) => {
      if (kind === 'definer' && !definer) return []
      return [...definition.matchAll(pattern)]
        .filter((match) => !inComment(definition, match.index))
        .map((match) => ({
          name: `${name} ${what(match[0])} in: ${lineOf(definition, match.index)}`,
          kind,
          definition:
            definition.slice(0, match.index) + replace(match[0]) + definition.slice(match.index + match[0].length),
        }))
    }),
  )
}

function lineOf(text: string, index: number): string {
  const end = text.indexOf('\n', index)
  return text.slice(text.lastIndexOf('\n', index) + 1, end < 0 ? undefined : end).trim()
}

function inComment(text: string, index: number): boolean {
  const line = text.slice(text.lastIndexOf('\n', index) + 1, index)
  return line.includes('--')
}
