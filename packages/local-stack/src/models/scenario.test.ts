import { describe, expect, it } from 'vitest'
import { readScenario, readToolCall, ScenarioError, withoutTag } from './scenario.ts'

describe('the scenario of a call', () => {
  it('is empty when nothing is asked for', () => {
    expect(readScenario('What is a ledger?', undefined)).toEqual({})
  })

  it('is read from the prompt: numbers, switches, quoted text and a tool call with JSON', () => {
    const prompt = 'Weather? [dev: tokens=500 delay=2 tool=weather({"city":"Rome) ]"}) nofinish text="a ] b"] thanks'
    expect(readScenario(prompt, undefined)).toEqual({
      tokens: 500,
      delay: 2,
      tool: 'weather({"city":"Rome) ]"})',
      nofinish: true,
      text: 'a ] b',
    })
  })

  it('is read from provider options, which win over the prompt', () => {
    expect(readScenario('[dev: tokens=1 input=7]', { tokens: 2 })).toEqual({ tokens: 2, input: 7 })
  })

  it.each([
    '[dev: tokns=5]',
    '[dev: tokens=many]',
    '[dev: tokens=5',
    '[dev: tool=a({]',
    '[dev: =]',
    '[dev: error=200]',
  ])('refuses %s instead of ignoring it', (prompt) => {
    expect(() => readScenario(prompt, undefined)).toThrow(ScenarioError)
  })

  it('is taken out of the question', () => {
    expect(withoutTag('Why? [dev: text="x ] y" tokens=3] Really?')).toBe('Why?  Really?')
    expect(withoutTag('Why?')).toBe('Why?')
  })

  it('names the tool and its input', () => {
    expect(readToolCall('weather({"city":"Rome"})')).toEqual({ name: 'weather', input: { city: 'Rome' } })
    expect(readToolCall('now')).toEqual({ name: 'now', input: {} })
    expect(() => readToolCall('weather({city})')).toThrow(ScenarioError)
  })
})
