import 'server-only'
import { z } from 'zod'
import { sessionClient } from './supabase'

const plan = z.object({ id: z.string(), name: z.string(), price_usd: z.string(), monthly_credits: z.string() })

/** A plan as the pricing page shows it; amounts are decimal strings. */
export type Plan = z.infer<typeof plan>

/** The plans, cheapest first. Anyone may read them. */
export async function readPlans(): Promise<Plan[]> {
  const client = await sessionClient()
  const { data, error } = await client
    .from('credit_plans')
    .select('id, name, price_usd::text, monthly_credits::text')
    .order('sort_order')
    .order('price_usd')
  if (error) throw new Error('The plans cannot be read', { cause: error })
  return z.array(plan).parse(data)
}
