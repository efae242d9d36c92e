import { creditsApi } from '@/lib/server/credits'

export const { GET, PUT, POST, DELETE, PATCH } = creditsApi
