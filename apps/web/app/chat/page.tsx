import type { Metadata } from 'next'
import { ChatView } from '@/components/chat/chat-view'
import { chatModels, defaultModel } from '@/lib/models'
import { requireUser } from '@/lib/session'

export const metadata: Metadata = { title: 'Chat' }

export default async function ChatPage() {
  await requireUser('/chat')
  return <ChatView models={await chatModels()} defaultModel={defaultModel()} />
}
