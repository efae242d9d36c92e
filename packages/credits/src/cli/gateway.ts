import type { GatewayProvider } from '@ai-sdk/gateway'
import { CreditError } from '../core/errors.ts'

/**
 * The app's own gateway package. Its key is AI_GATEWAY_API_KEY; AI_GATEWAY_BASE_URL names another address.
 * @throws CreditError `CONFIG_INVALID` when the package is not installed
 */
export async function loadGateway(): Promise<GatewayProvider> {
  const { createGateway } = await importGateway()
  const baseURL = process.env.AI_GATEWAY_BASE_URL
  return createGateway(baseURL ? { baseURL } : {})
}

async function importGateway(): Promise<typeof import('@ai-sdk/gateway')> {
  try {
    return await import('@ai-sdk/gateway')
  } catch (cause) {
    const message = 'This needs the package "@ai-sdk/gateway": npm install @ai-sdk/gateway'
    throw new CreditError({ code: 'CONFIG_INVALID', message, cause })
  }
}
