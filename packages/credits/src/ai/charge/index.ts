export { generationIdOf, priceCall } from './price-call.ts'
