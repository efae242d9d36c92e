import { expect, test } from 'vitest'
import { safeNextPath } from './next-path.ts'

test('only a path of this app is followed after signing in', () => {
  expect(safeNextPath('/history?type=usage')).toBe('/history?type=usage')
  const hostile = [
    undefined,
    '',
    'history',
    'https://evil.example',
    '//evil.example',
    '/\\evil.example',
    '\\\\evil',
    ['/a', '/b'],
    'javascript:alert(1)',
  ]
  for (const next of hostile) expect(safeNextPath(next), String(next)).toBe('/chat')
})

test('a tab or a line break, which browsers drop from addresses, does not hide a second slash', () => {
  for (const next of ['/\t/evil.example', '/\n/evil.example', '/\r/evil.example'])
    expect(safeNextPath(next)).toBe('/chat')
})
