import { expect, test } from 'vitest'
import { clientIp } from './client-ip.ts'

test('the client’s address is the last entry of the header that the platform sets', () => {
  const headers = new Headers({ 'x-real-ip': '203.0.113.7', 'x-forwarded-for': '198.51.100.1, 2001:db8::7' })
  expect(clientIp(headers, 'x-real-ip')).toBe('203.0.113.7')
  expect(clientIp(headers, 'x-forwarded-for')).toBe('2001:db8::7')
})

test('without a named header, or with one that is no address, there is no client’s address', () => {
  const headers = new Headers({ 'x-forwarded-for': '203.0.113.7', 'x-real-ip': 'unknown, evil\t.example' })
  expect(clientIp(headers, undefined)).toBeUndefined()
  expect(clientIp(headers, 'x-real-ip')).toBeUndefined()
  expect(clientIp(headers, 'x-client-ip')).toBeUndefined()
})
