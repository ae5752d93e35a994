import { describe, expect, it } from 'vitest'
import type { Conversation, Message } from '../api.gen'
import { readUpTo } from './read'

describe('readUpTo', () => {
  const mine = { status: 'active', owner: 'agent', agent_id: 'agt_1', unread: 2 } as Conversation
  const messages = [
    { id: 'msg_1', direction: 'inbound' },
    { id: 'msg_2', direction: 'inbound' },
    { id: 'msg_3', direction: 'outbound' },
  ] as Message[]
  it('is the last message of the customer, to the agent who serves', () => {
    expect(readUpTo(mine, messages, 'agt_1')).toBe('msg_2')
  })
  it('is nothing to anybody else', () => {
    expect(readUpTo(mine, messages, 'agt_2')).toBeNull()
    expect(readUpTo(mine, messages, undefined)).toBeNull()
    expect(readUpTo(undefined, messages, 'agt_1')).toBeNull()
  })
  it('is nothing where everything was read, or nobody serves', () => {
    expect(readUpTo({ ...mine, unread: 0 }, messages, 'agt_1')).toBeNull()
    expect(readUpTo({ ...mine, status: 'wrap_up' }, messages, 'agt_1')).toBeNull()
    expect(readUpTo(mine, [], 'agt_1')).toBeNull()
  })
})
