import { expect, test } from 'vitest'
import { safeNextPath } from './next-path.ts'

test('a path of this app is followed after signing in, with its query', () => {
  expect(safeNextPath('/history?type=usage')).toBe('/history?type=usage')
  expect(safeNextPath('/a/../history')).toBe('/history')
})

test.each([
  undefined,
  '',
  'history',
  'https://evil.example',
  '//evil.example',
  '/\\evil.example',
  '\\\\evil',
  ['/a', '/b'],
  'javascript:alert(1)',
  // Browsers drop tabs and line breaks from addresses, so these hide a second slash.
  '/\t/evil.example',
  '/\n/evil.example',
  '/\r/evil.example',
  // These name a host only once their dots are resolved.
  '/.//evil.example/login',
  '/a/..//evil.example',
  '/./\\evil.example',
  '/%2e//evil.example',
  '/.\t//evil.example',
])('the address %j leads to the chat instead', (next) => {
  expect(safeNextPath(next)).toBe('/chat')
})
