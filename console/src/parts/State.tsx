import { Badge, Text } from '@mantine/core'
import { useInterval } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Conversation, ConversationStatus } from '../api.gen'
import { agents, me, queues } from '../lib/queries'
import { clock, exact, since } from '../lib/time'

const colours: Record<ConversationStatus, string> = { open: 'orange', active: 'teal', waiting: 'grape', wrap_up: 'blue', closed: 'gray' }

export const statusWords: Record<ConversationStatus, string> = {
  open: 'Open',
  active: 'Active',
  waiting: 'Waiting',
  wrap_up: 'Wrap-up',
  closed: 'Closed',
}

/** Where a conversation stands. */
export function Status({ status }: { status: ConversationStatus }) {
  return (
    <Badge color={colours[status]} variant="dot" tt="none">
      {statusWords[status]}
    </Badge>
  )
}

/** Who holds a conversation. */
export function Owner({ conversation: c }: { conversation: Conversation }) {
  const who = useQuery(me)
  const readable = who.data?.permissions.includes('directory.read') ?? false
  const inQueues = useQuery({ ...queues, enabled: readable && c.owner === 'queue' })
  const byAgents = useQuery({ ...agents, enabled: readable && c.owner === 'agent' })
  switch (c.owner) {
    case 'none':
      return null
    case 'bot':
      return <Text size="sm">Bot</Text>
    case 'queue': {
      const name = inQueues.data?.items.find((q) => q.id === c.queue_id)?.name
      return <Text size="sm">{name === undefined ? 'Queue' : `Queue: ${name}`}</Text>
    }
    case 'agent': {
      const name = byAgents.data?.items.find((a) => a.id === c.agent_id)?.name
      return <Text size="sm">{name === undefined ? 'Agent' : `Agent: ${name}`}</Text>
    }
  }
}

/** The name of the customer, or that it is not known. */
export function customerName(c: Conversation): string {
  return c.contact.name === '' ? 'Unknown customer' : c.contact.name
}

/** The current time, anew every so many milliseconds. */
function useNow(every: number): Date {
  const [now, setNow] = useState(() => new Date())
  useInterval(() => setNow(new Date()), every, { autoInvoke: true })
  return now
}

/** A point in time, in the zone of the reader. */
export function When({ at }: { at: string }) {
  const now = useNow(60_000)
  return (
    <time dateTime={at} title={exact(at)}>
      {clock(at, now)}
    </time>
  )
}

/** How long a customer has been waiting. */
export function Wait({ since: at }: { since: string }) {
  const now = useNow(1_000)
  return (
    <Text size="sm" fw={600} component="span">
      waits for <time dateTime={at} title={exact(at)}>{since(at, now)}</time>
    </Text>
  )
}
