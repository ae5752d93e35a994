import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import type { ConversationStatus, Message } from '../api.gen'
import { ask } from './api'

export const me = queryOptions({
  queryKey: ['me'],
  queryFn: () => ask((c) => c.GET('/api/v1/me')),
  staleTime: Infinity,
})

const directory = { staleTime: 60_000 }

export const channels = queryOptions({
  queryKey: ['channels'],
  queryFn: () => ask((c) => c.GET('/api/v1/channels', { params: { query: { limit: 200 } } })),
  ...directory,
})

export const queues = queryOptions({
  queryKey: ['queues'],
  queryFn: () => ask((c) => c.GET('/api/v1/queues', { params: { query: { limit: 200 } } })),
  ...directory,
})

export const agents = queryOptions({
  queryKey: ['agents'],
  queryFn: () => ask((c) => c.GET('/api/v1/agents', { params: { query: { limit: 200 } } })),
  ...directory,
})

export type Filter = { status: ConversationStatus | ''; q: string }

/** Conversations, newest first, a page at a time. */
export const conversations = (filter: Filter) =>
  infiniteQueryOptions({
    queryKey: ['conversations', filter],
    queryFn: ({ pageParam }) =>
      ask((c) =>
        c.GET('/api/v1/conversations', {
          params: {
            query: {
              limit: 30,
              ...(pageParam === '' ? {} : { cursor: pageParam }),
              ...(filter.status === '' ? {} : { status: filter.status }),
              ...(filter.q === '' ? {} : { q: filter.q }),
            },
          },
        }),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.next_cursor,
  })

export const conversation = (id: string) =>
  queryOptions({
    queryKey: ['conversation', id],
    queryFn: () => ask((c) => c.GET('/api/v1/conversations/{id}', { params: { path: { id } } })),
  })

/** The API lists a transcript oldest first; this many pages of 200 are read at once. */
const pagesAtOnce = 10

/** A transcript. The pages behind the first ones are read when asked for. */
export const transcript = (id: string) =>
  infiniteQueryOptions({
    queryKey: ['messages', id],
    queryFn: async ({ pageParam }) => {
      const items: Message[] = []
      let cursor: string | null = pageParam
      for (let i = 0; cursor !== null && i < pagesAtOnce; i++) {
        const from: { cursor?: string } = cursor === '' ? {} : { cursor }
        const page = await ask((c) => c.GET('/api/v1/conversations/{id}/messages', { params: { path: { id }, query: { limit: 200, ...from } } }))
        items.push(...page.items)
        cursor = page.next_cursor
      }
      return { items, next_cursor: cursor }
    },
    initialPageParam: '',
    getNextPageParam: (page) => page.next_cursor,
  })
