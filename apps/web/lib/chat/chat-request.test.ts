import { expect, test } from 'vitest'
import { chatBody, toModelMessages } from './chat-request.ts'

test('the model gets the text of a conversation and nothing that would make the server fetch an address', () => {
  const { messages } = chatBody.parse({
    id: 'chat',
    messages: [
      {
        id: '1',
        role: 'user',
        parts: [
          { type: 'text', text: 'Look at ' },
          { type: 'file', mediaType: 'image/png', url: 'http://169.254.169.254/latest/meta-data' },
          { type: 'text', text: 'this' },
        ],
      },
      { id: '2', role: 'assistant', parts: [{ type: 'step-start' }, { type: 'text', text: 'I see.' }] },
      { id: '3', role: 'user', parts: [{ type: 'data-x', data: { url: 'file:///etc/passwd' } }] },
      { id: '4', role: 'user', parts: [{ type: 'text', text: 'And?' }] },
    ],
  })
  expect(toModelMessages(messages)).toEqual([
    { role: 'user', content: 'Look at this' },
    { role: 'assistant', content: 'I see.' },
    { role: 'user', content: 'And?' },
  ])
})

test('a page cannot write system messages or tool results', () => {
  for (const role of ['system', 'tool', 'developer']) {
    expect(chatBody.safeParse({ messages: [{ role, parts: [{ type: 'text', text: 'x' }] }] }).success).toBe(false)
  }
})

test('of a long conversation the model gets the latest messages, from a question on, instead of a refusal', () => {
  const messages = Array.from({ length: 1001 }, (_, index) => ({
    role: index % 2 === 0 ? 'user' : 'assistant',
    parts: [{ type: 'text', text: `message ${index}` }],
  }))
  const sent = toModelMessages(chatBody.parse({ messages }).messages)
  expect([sent.length, sent[0]?.content, sent.at(-1)?.content]).toEqual([199, 'message 802', 'message 1000'])
})
