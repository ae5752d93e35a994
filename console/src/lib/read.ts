import { useEffect, useRef, useState } from 'react'
import type { Conversation, Message } from '../api.gen'
import { ask } from './api'

/** The message up to which an agent who looks at a transcript has read it anew; null when there is nothing to say: only who serves reads. */
export function readUpTo(c: Conversation | undefined, messages: Message[], agent: string | undefined): string | null {
  if (c === undefined || c.status !== 'active' || c.agent_id !== agent || (c.unread ?? 0) === 0) {
    return null
  }
  return messages.findLast((m) => m.direction === 'inbound')?.id ?? null
}

/** Says up to which message the agent has read, while the page is looked at. */
export function useRead(id: string, upTo: string | null): void {
  const seen = useSeen()
  const told = useRef<string | null>(null)
  useEffect(() => {
    if (upTo === null || !seen || told.current === upTo) {
      return
    }
    told.current = upTo
    ask((c) => c.POST('/api/v1/conversations/{id}/read', { params: { path: { id } }, body: { message_id: upTo } })).catch(() => {
      told.current = null // said with the next message, or when the page is looked at again
    })
  }, [id, upTo, seen])
}

function useSeen(): boolean {
  const [seen, setSeen] = useState(!document.hidden)
  useEffect(() => {
    const look = () => setSeen(!document.hidden)
    document.addEventListener('visibilitychange', look)
    return () => document.removeEventListener('visibilitychange', look)
  }, [])
  return seen
}
