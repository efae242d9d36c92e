import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { boundInputTokens, utf8Bytes } from './input-bound.ts'

const user = (...content: unknown[]) => ({ prompt: [{ role: 'user', content }] })
const bare = { perCall: 0, perMessage: 0, perCallWithTools: 0 }

describe('boundInputTokens', () => {
  it('counts UTF-8 bytes of every text, whatever part it is in', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(utf8Bytes(text)).toBe(Buffer.byteLength(text.toWellFormed()))
        const prompt = [
          { role: 'system', content: text },
          { role: 'user', content: [{ type: 'text', text }] },
          { role: 'assistant', content: [{ type: 'reasoning', text }] },
        ]
        expect(boundInputTokens({ prompt }, bare)).toBe(3 * utf8Bytes(text))
        expect(boundInputTokens({ prompt: text }, bare)).toBe(utf8Bytes(text))
      }),
    )
  })

  it('counts tool calls, tool results, tool definitions and the answer schema as JSON', () => {
    const input = { city: 'Wien' }
    const callPart = { type: 'tool-call', toolCallId: '1', toolName: 'weather', input }
    expect(boundInputTokens(user(callPart), bare)).toBe(JSON.stringify(callPart).length)
    const output = { type: 'json', value: input }
    const result = { type: 'tool-result', toolCallId: '1', toolName: 'weather', output }
    expect(boundInputTokens(user(result), bare)).toBe('weather'.length + JSON.stringify(output).length)
    const tools = [{ type: 'function', name: 'weather', inputSchema: { type: 'object' } }]
    const schema = { type: 'object' }
    const counted = boundInputTokens({ prompt: '', tools, responseFormat: { type: 'json', schema } }, bare)
    expect(counted).toBe(JSON.stringify(tools[0]).length + JSON.stringify(schema).length)
  })

  it('counts a file by its kind, not by its base64, and what it holds where that matters', () => {
    const file = (mediaType: string, data: unknown) => boundInputTokens(user({ type: 'file', mediaType, data }), bare)
    const megabyte = { type: 'data', data: new Uint8Array(1024 * 1024) }
    expect(file('image/png', megabyte)).toBe(3000)
    expect(file('image/png', { type: 'url', url: new URL('https://example.com/a.png') })).toBe(3000)
    expect(file('audio/mpeg', megabyte)).toBe(100 + 1024 * 20)
    expect(file('application/pdf', { type: 'data', data: 'A'.repeat(4096) })).toBe(3000 + 3 * 200)
    expect(file('text/plain', { type: 'text', text: 'ü'.repeat(512) })).toBe(16 + 1024)
  })

  it('counts files in tool results', () => {
    const output = {
      type: 'content',
      value: [
        { type: 'text', text: 'see' },
        { type: 'file', mediaType: 'image/png', data: { type: 'data', data: 'AAAA' } },
      ],
    }
    expect(boundInputTokens(user({ type: 'tool-result', toolName: 't', output }), bare)).toBe(1 + 3 + 3000)
  })

  it('adds overhead per call and message, and lets an app count its own way', () => {
    expect(boundInputTokens({ prompt: [{ role: 'user', content: 'hi' }] })).toBe(64 + 16 + 2)
    expect(boundInputTokens({ prompt: 'hi', tools: [{}] })).toBe(64 + 16 + 600 + 2 + 2)
    const config = { countText: (text: string) => text.length / 4, files: { image: { base: 85, perKilobyte: 0 } } }
    const image = { type: 'file', mediaType: 'image/png', data: 'AAAA' }
    expect(boundInputTokens(user({ type: 'text', text: 'abcdefghi' }, image), config)).toBe(64 + 16 + 3 + 85)
  })
})
