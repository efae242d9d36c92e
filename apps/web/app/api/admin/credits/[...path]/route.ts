export {
  creditsApi as DELETE,
  creditsApi as GET,
  creditsApi as PATCH,
  creditsApi as POST,
  creditsApi as PUT,
} from '@/lib/credits'
