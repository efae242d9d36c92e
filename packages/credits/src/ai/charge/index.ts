export { type FlaggedCharge, generationIdOf, priceCall } from './price-call.ts'
