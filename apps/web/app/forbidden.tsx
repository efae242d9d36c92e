import { MessagePage } from '@/components/message-page'

export default function Forbidden() {
  return <MessagePage title="Admins only" text="Your account may not see this page." />
}
