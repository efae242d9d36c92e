import type { Metadata } from 'next'
import { ChatView } from '@/components/chat/chat-view'
import { requireUser } from '@/lib/auth/session'
import { chatModels, defaultModel } from '@/lib/chat/models'

export const metadata: Metadata = { title: 'Chat' }

export default async function ChatPage() {
  await requireUser('/chat')
  return <ChatView models={await chatModels()} defaultModel={defaultModel()} />
}
