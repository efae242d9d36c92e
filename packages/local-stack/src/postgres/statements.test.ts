import { describe, expect, it } from 'vitest'
import { statementOffsets } from './statements.ts'

const starts = (script: string) => statementOffsets(script).map((at) => script.slice(at, at + 8))

describe('the statements of a script', () => {
  it('begin after a semicolon, past blanks and comments', () => {
    expect(starts('select 1;\n-- no; select\n /* a; /* nested; */ b */ select 2; ')).toEqual(['select 1', 'select 2'])
  })

  it('are not split inside strings, names and dollar quotes', () => {
    const script = `select 'a;''b;', "c;d", E'\\';', $$;$$, $x$ ; $$ ; $x$;create x`
    expect(starts(script)).toEqual([script.slice(0, 8), 'create x'])
  })

  it('are not split inside the body of a SQL-standard function', () => {
    const script =
      'create function f() returns int begin atomic select 1; select case when true then 2 end; end; drop x;'
    expect(starts(script)).toEqual(['create f', 'drop x;'])
  })
})
