import 'server-only'
import { createGateway, type GatewayProvider } from '@ai-sdk/gateway'
import { readEnv } from './env'

/** The model gateway of this environment. */
export function gateway(): GatewayProvider {
  const { AI_GATEWAY_API_KEY, AI_GATEWAY_BASE_URL } = readEnv()
  return createGateway({ apiKey: AI_GATEWAY_API_KEY, ...(AI_GATEWAY_BASE_URL ? { baseURL: AI_GATEWAY_BASE_URL } : {}) })
}
