import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { codeOf } from '../../../__tests__/kit/models.ts'
import { boundInputTokens, boundTextTokens, DEFAULT_CONTEXT_WINDOW, utf8Bytes } from './input-bound.ts'

const user = (...content: unknown[]) => ({ prompt: [{ role: 'user', content }] })
const bare = { perCall: 0, perMessage: 0, perCallWithTools: 0 }
const bytes = { ...bare, countText: utf8Bytes }
const file = (mediaType: string, data: unknown, config: object = bare) =>
  boundInputTokens(user({ type: 'file', mediaType, data }), config)

describe('boundInputTokens', () => {
  it('counts every text, in whichever part it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(utf8Bytes(text)).toBe(Buffer.byteLength(text.toWellFormed()))
        const prompt = [
          { role: 'system', content: text },
          { role: 'user', content: [{ type: 'text', text }] },
          { role: 'assistant', content: [{ type: 'reasoning', text }] },
        ]
        expect(boundInputTokens({ prompt }, bytes)).toBe(3 * utf8Bytes(text))
        expect(boundInputTokens({ prompt: text }, bytes)).toBe(utf8Bytes(text))
        expect(boundInputTokens({ prompt }, bare)).toBe(3 * boundTextTokens(text))
      }),
    )
  })

  it('counts tool calls, tool results, tool definitions and the answer schema as JSON', () => {
    const input = { city: 'Wien' }
    const callPart = { type: 'tool-call', toolCallId: '1', toolName: 'weather', input }
    expect(boundInputTokens(user(callPart), bytes)).toBe(JSON.stringify(callPart).length)
    const output = { type: 'json', value: input }
    const result = { type: 'tool-result', toolCallId: '1', toolName: 'weather', output }
    expect(boundInputTokens(user(result), bytes)).toBe('weather'.length + JSON.stringify(output).length)
    const tools = [{ type: 'function', name: 'weather', inputSchema: { type: 'object' } }]
    const schema = { type: 'object' }
    const counted = boundInputTokens({ prompt: '', tools, responseFormat: { type: 'json', schema } }, bytes)
    expect(counted).toBe(JSON.stringify(tools[0]).length + JSON.stringify(schema).length)
  })

  it('adds overhead per call and message, and lets an app count its own way', () => {
    expect(boundInputTokens({ prompt: [{ role: 'user', content: 'hi' }] })).toBe(64 + 16 + 2)
    expect(boundInputTokens({ prompt: 'hi', tools: [{}] })).toBe(64 + 16 + 600 + 2 + 2)
    const config = { countText: (text: string) => text.length / 4, files: { image: { base: 85, perKilobyte: 0 } } }
    const image = { type: 'file', mediaType: 'image/png', data: 'AAAA' }
    expect(boundInputTokens(user({ type: 'text', text: 'abcdefghi' }, image), config)).toBe(64 + 16 + 3 + 85)
  })

  it('is never above the context window of the model', () => {
    expect(boundInputTokens({ prompt: 'word '.repeat(5000) }, { contextWindow: 1000 })).toBe(1000)
  })
})

describe('the files of a call', () => {
  const u32 = (value: number) => [value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255]
  const png = (width: number, height: number) =>
    Uint8Array.from([
      0x89,
      0x50,
      0x4e,
      0x47,
      13,
      10,
      26,
      10,
      0,
      0,
      0,
      13,
      73,
      72,
      68,
      82,
      ...u32(width),
      ...u32(height),
    ])
  const pdf = (pages: number, kilobytes: number) =>
    Buffer.from(`%PDF-1.4\n${'<< /Type /Page >>\n'.repeat(pages)}${' '.repeat(kilobytes * 1024)}`)

  it('count a picture by its pixels, in bytes, base64 and a data URL', () => {
    expect(file('image/png', png(1000, 1500))).toBe(2000)
    expect(file('image/png', png(10, 10))).toBe(1120)
    expect(file('image/png', png(9000, 9000))).toBe(4800)
    const base64 = Buffer.from(png(1000, 1500)).toString('base64')
    expect(file('image/png', { type: 'data', data: base64 })).toBe(2000)
    expect(file('image/png', `data:image/png;base64,${base64}`)).toBe(2000)
    expect(file('image/png', new URL(`data:image/png;base64,${base64}`))).toBe(2000)
  })

  it('bound a picture that cannot be read or is behind a URL by the largest that providers read', () => {
    expect(file('image/png', new Uint8Array(1024 * 1024))).toBe(4800)
    expect(file('image/png', { type: 'url', url: new URL('https://example.com/a.png') })).toBe(4800)
    expect(file('image/*', 'https://example.com/a.png', { ...bare, unknownFiles: 'refuse' })).toBe(4800)
  })

  it('count a PDF by its pages, not by its size', () => {
    expect(file('application/pdf', pdf(10, 2048))).toBe(45_000)
    expect(file('application/pdf', pdf(10, 2048).toString('base64'))).toBe(45_000)
    expect(file('application/pdf', { type: 'data', data: 'A'.repeat(4096) })).toBe(3000 + 3 * 200)
  })

  it('count sound by its seconds where its header says them, else by its size', () => {
    const frame = [0xff, 0xfb, 0x90, 0x00, ...new Array(413).fill(0)]
    const minute = Uint8Array.from(Array.from({ length: 2297 }, () => frame).flat())
    expect(file('audio/mpeg', minute)).toBe(100 + Math.ceil(((2297 * 1152) / 44_100) * 32))
    expect(file('audio/ogg', new Uint8Array(1024 * 1024))).toBe(100 + 1024 * 20)
  })

  it('count text files as text', () => {
    expect(file('text/plain', { type: 'text', text: 'word '.repeat(100) })).toBe(
      16 + boundTextTokens('word '.repeat(100)),
    )
    expect(file('text/plain', Buffer.from('ü'.repeat(512)))).toBe(16 + boundTextTokens('ü'.repeat(512)))
  })

  it('count in tool results too', () => {
    const output = {
      type: 'content',
      value: [
        { type: 'text', text: 'see' },
        { type: 'file', mediaType: 'image/png', data: { type: 'data', data: 'AAAA' } },
      ],
    }
    expect(boundInputTokens(user({ type: 'tool-result', toolName: 't', output }), bytes)).toBe(1 + 3 + 4800)
  })

  it('bound the call by the context window when the size of one is not known, or refuse it', () => {
    const url = 'https://example.com/report.pdf'
    expect(file('application/pdf', url, { ...bare, contextWindow: 128_000 })).toBe(128_000)
    expect(file('application/pdf', url)).toBe(DEFAULT_CONTEXT_WINDOW)
    expect(file('application/pdf', { type: 'reference', reference: { openai: 'file-1' } })).toBe(DEFAULT_CONTEXT_WINDOW)
    for (const unknown of [url, new URL(url), { type: 'url', url: new URL(url) }]) {
      expect(codeOf(() => file('application/pdf', unknown, { unknownFiles: 'refuse' }))).toBe('INVALID_INPUT')
    }
  })
})
