interface Excuse {
  matches: RegExp
  because: string
}

/** Mutants that no test can or need kill, each with the reason; everything else that lives is a finding. */
const EXCUSES: readonly Excuse[] = [
  {
    // The slow path decides the same; the fast one only saves time.
    matches:
      /^(credits_reserve (>=|<=|<) -> .* in: and a\.|credits_settle <= -> < in: and |credits_private\.spend <= -> < in: if p_amount <= b\.current)/,
    because: 'at the very edge the fast path hands over to the slow one, which answers the same',
  },
  { matches: /credits_expire_due sign: .*v_stop/, because: 'how long a sweep goes on is a courtesy, not a promise' },
  {
    matches:
      / > -> >= in: where (account_id = b\.account_id and |x\.account_id = p\.account_id and \(x\.)remaining > 0/,
    because: 'an empty lot gives and loses nothing',
  },
  { matches: /credits_adjust > -> >= in: if p_amount > 0/, because: 'zero has been refused before' },
  {
    matches: /(>|<=) -> (>=|<) in: .*(length|pg_column_size|octet_length)\(/,
    because: 'one byte or digit more or less of a limit that is generous anyway',
  },
  {
    matches: /sweep_reservations sign: := coalesce\(v_skipped/,
    because: 'matters only while somebody else has a lock: __tests__/sql/books.test.ts looks at that',
  },
  { matches: /give_back > -> >= in: if v_left > 0/, because: 'add_lot of nothing adds nothing' },
  {
    matches: /^policy credits_private\.\w+ \w+_nobody/,
    because: 'no API role may enter the schema: the policy only says so to the advisors',
  },
  {
    matches:
      /(<|>)=? -> .* in: .*(_at\b|now\(\)|v_now|clock_timestamp\(\)|swept_until|v_stop|v_end|p_from|p_to|p_at\b|effective_from)/,
    because: 'differs only when two readings of the clock are equal to the microsecond',
  },
]

/** Why a mutant may live; undefined when it may not. */
export function excuseFor(name: string): string | undefined {
  return EXCUSES.find(({ matches }) => matches.test(name))?.because
}
