import { describe, expect, it } from 'vitest'
import { codeOf } from '../../../__tests__/kit/models.ts'
import { acceptReportedCost } from './reported-cost.ts'

describe('acceptReportedCost', () => {
  it('refuses a cost above ten times the larger of the computed cost and the bound', () => {
    const check = (reported: string) => acceptReportedCost({ reported, computed: '0.02', bound: '0.05' })
    expect(check('1000')).toEqual({ accepted: false, flags: ['reported_cost_refused'] })
    expect(check('0.500001').accepted).toBe(false)
    expect(check('0.5')).toEqual({ accepted: true, flags: [] })
  })

  it('accepts what small calls cost in fees, and refuses without any expectation only above USD 100', () => {
    expect(acceptReportedCost({ reported: '0.05', computed: '0.0001' }).accepted).toBe(true)
    expect(acceptReportedCost({ reported: '0.06', computed: '0.0001' }).accepted).toBe(false)
    expect(acceptReportedCost({ reported: '100' }).accepted).toBe(true)
    expect(acceptReportedCost({ reported: '100.01', computed: null, bound: null }).accepted).toBe(false)
  })

  it('accepts a cost far below the computed one, and says so', () => {
    expect(acceptReportedCost({ reported: '0.0019', computed: '0.02' })).toEqual({
      accepted: true,
      flags: ['reported_cost_low'],
    })
    expect(acceptReportedCost({ reported: '0.002', computed: '0.02' }).flags).toEqual([])
  })

  it('refuses a negative cost and what is no amount', () => {
    expect(acceptReportedCost({ reported: '-1', computed: '5' }).accepted).toBe(false)
    expect(codeOf(() => acceptReportedCost({ reported: 'NaN' }))).toBe('INVALID_INPUT')
  })
})
