'use client'

import { useChat } from '@ai-sdk/react'
import { useCredits } from '@layers/credits/react'
import { Container, Stack } from '@mantine/core'
import { DefaultChatTransport } from 'ai'
import { useEffect, useRef, useState } from 'react'
import type { ChatMessage } from '@/lib/chat-message'
import type { ModelChoice } from '@/lib/models'
import classes from './chat.module.css'
import { Answer, Question, Thinking } from './chat-message'
import { ChatProblem } from './chat-problem'
import { Composer } from './composer'
import { EmptyChat } from './empty-chat'

const SETTLE_DELAY_MS = 2_000

interface ChatViewProps {
  models: ModelChoice[]
  defaultModel: string
}

/** The conversation. It lives in the page only; what it cost lives in the ledger. */
export function ChatView({ models, defaultModel }: ChatViewProps) {
  const [model, setModel] = useState(defaultModel)
  const { refresh } = useCredits()
  const [transport] = useState(() => new DefaultChatTransport<ChatMessage>({ api: '/api/chat' }))
  const { messages, sendMessage, regenerate, status, error, stop } = useChat<ChatMessage>({
    transport,
    // An answer that was stopped or failed may have cost something too; the server notices a stop a little later.
    onFinish: ({ isAbort }) => {
      void refresh()
      if (isAbort) setTimeout(refresh, SETTLE_DELAY_MS)
    },
    onError: () => void refresh(),
  })
  const isBusy = status === 'submitted' || status === 'streaming'
  useScrollToEnd(messages, status)

  const ask = (text: string) => void sendMessage({ text }, { body: { model } })
  return (
    <div className={classes.page}>
      <Container size="md" w="100%" flex={1} py="lg" className={classes.conversation}>
        {messages.length === 0 && !error ? <EmptyChat onPick={ask} /> : null}
        <Stack gap="xl" role="log" aria-label="Conversation" aria-busy={isBusy}>
          {messages.map((message) =>
            message.role === 'user' ? (
              <Question key={message.id} message={message} />
            ) : (
              <Answer key={message.id} message={message} isStreaming={isBusy && message === messages.at(-1)} />
            ),
          )}
          {status === 'submitted' ? <Thinking /> : null}
          {error ? <ChatProblem error={error} onRetry={() => void regenerate({ body: { model } })} /> : null}
        </Stack>
      </Container>
      <div className={classes.composer}>
        <Container size="md">
          <Composer models={models} model={model} onModelChange={setModel} onSend={ask} onStop={stop} isBusy={isBusy} />
        </Container>
      </div>
    </div>
  )
}

/** Follows the answer as it grows, unless the reader has scrolled up to read. */
function useScrollToEnd(messages: ChatMessage[], status: string): void {
  const isFollowing = useRef(true)
  useEffect(() => {
    let lastY = window.scrollY
    const onScroll = () => {
      const isAtEnd = document.documentElement.scrollHeight - window.innerHeight - window.scrollY < 100
      // Only a way up is the reader's: below, the answer may just have grown faster than the page scrolled.
      if (isAtEnd) isFollowing.current = true
      else if (window.scrollY < lastY) isFollowing.current = false
      lastY = window.scrollY
    }
    window.addEventListener('scroll', onScroll, { passive: true })
    return () => window.removeEventListener('scroll', onScroll)
  }, [])
  // Each new part of an answer is the reason to look again.
  useEffect(() => {
    if (messages.length === 0) return
    if (status === 'submitted') isFollowing.current = true
    if (isFollowing.current) window.scrollTo({ top: document.documentElement.scrollHeight })
  }, [messages, status])
}
