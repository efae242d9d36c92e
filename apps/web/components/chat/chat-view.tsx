'use client'

import { useChat } from '@ai-sdk/react'
import { useCredits } from '@layers/credits/react'
import { Button, Container, Group, Stack, Text, VisuallyHidden } from '@mantine/core'
import { IconPlus } from '@tabler/icons-react'
import { DefaultChatTransport } from 'ai'
import { useEffect, useRef, useState } from 'react'
import { type ChatMessage, messageCredits, messageText } from '@/lib/chat/chat-message'
import type { ModelChoice } from '@/lib/chat/models'
import classes from './chat.module.css'
import { Answer, Question, Thinking } from './chat-message'
import { ChatProblem } from './chat-problem'
import { Composer } from './composer'
import { EmptyChat } from './empty-chat'
import { useModelChoice } from './use-model-choice'

const SETTLE_DELAY_MS = 2_000

interface ChatViewProps {
  models: ModelChoice[]
  defaultModel: string
}

/** The conversation. It lives in the page only; what it cost lives in the ledger. */
export function ChatView({ models, defaultModel }: ChatViewProps) {
  const [model, setModel] = useModelChoice(models, defaultModel)
  const { refresh } = useCredits()
  const field = useRef<HTMLTextAreaElement>(null)
  const [transport] = useState(() => new DefaultChatTransport<ChatMessage>({ api: '/api/chat' }))
  const { messages, sendMessage, setMessages, regenerate, status, error, stop, clearError } = useChat<ChatMessage>({
    transport,
    // An answer that was stopped or failed may have cost something too. Its charge is written a little later, as is one
    // that the ledger could not take at once.
    onFinish: ({ message, isAbort }) => {
      void refresh()
      if (isAbort || messageCredits(message)?.booked === false) setTimeout(refresh, SETTLE_DELAY_MS)
    },
    onError: () => void refresh(),
  })
  const isBusy = status === 'submitted' || status === 'streaming'
  useScrollToEnd(messages, status)

  const last = messages.at(-1)
  const focusField = () => field.current?.focus()
  const ask = (text: string) => {
    void sendMessage({ text }, { body: { model } })
    focusField()
  }
  const stopAnswer = () => {
    void stop()
    focusField()
  }
  const startAgain = () => {
    clearError()
    setMessages([])
    focusField()
  }
  return (
    <div className={classes.page}>
      <Container size="md" w="100%" flex={1} py="lg" className={classes.conversation}>
        {messages.length === 0 && !error ? <EmptyChat onPick={ask} /> : <Heading onNew={startAgain} isBusy={isBusy} />}
        <Stack gap="xl" role="log" aria-label="Conversation" aria-busy={isBusy}>
          {messages.map((message) =>
            message.role === 'user' ? (
              <Question key={message.id} message={message} />
            ) : (
              <Answer key={message.id} message={message} isStreaming={isBusy && message === last} />
            ),
          )}
          {status === 'submitted' ? <Thinking /> : null}
          {status === 'ready' && last?.role === 'user' ? <StoppedEarly /> : null}
          {error ? (
            <ChatProblem
              error={error}
              hasText={last?.role === 'assistant' && messageText(last) !== ''}
              onRetry={() => void regenerate({ body: { model } })}
            />
          ) : null}
        </Stack>
      </Container>
      <div className={classes.composer}>
        <Container size="md">
          <Composer
            models={models}
            model={model}
            onModelChange={setModel}
            onSend={ask}
            onStop={stopAnswer}
            isBusy={isBusy}
            fieldRef={field}
          />
        </Container>
      </div>
    </div>
  )
}

function Heading({ onNew, isBusy }: { onNew: () => void; isBusy: boolean }) {
  return (
    <Group justify="flex-end" mb="md">
      <VisuallyHidden component="h1">Chat</VisuallyHidden>
      <Button
        size="xs"
        variant="default"
        leftSection={<IconPlus size={14} aria-hidden />}
        disabled={isBusy}
        onClick={onNew}
      >
        New chat
      </Button>
    </Group>
  )
}

/** A question that was stopped before the first word has no answer to write this below. */
function StoppedEarly() {
  return (
    <Text size="sm" c="dimmed" role="status">
      Stopped before the answer began. If it cost anything, your history has it.
    </Text>
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
