import { useQueryClient, type QueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { ask, Failure } from './api'

/** How the page keeps up with what happens. */
export type Liveness = 'starting' | 'live' | 'interrupted' | 'not allowed'

const every = 1_000 // milliseconds between looks
const everyHidden = 10_000 // the same while nobody sees the page
const patience = 15_000 // the longest pause after failures

/** Follows the record of events and has whatever they touch read anew. */
export function useLive(): Liveness {
  const queries = useQueryClient()
  const [liveness, setLiveness] = useState<Liveness>('starting')
  useEffect(() => {
    const stop = new AbortController()
    void follow(queries, stop.signal, setLiveness)
    return () => stop.abort()
  }, [queries])
  return liveness
}

async function follow(queries: QueryClient, stop: AbortSignal, tell: (l: Liveness) => void): Promise<void> {
  const events = (after: string) => ask((c) => c.GET('/api/v1/events', { params: { query: { after, limit: 200 } }, signal: stop }))
  let after = 'latest'
  let failures = 0
  while (!stop.aborted) {
    let pause = document.hidden ? everyHidden : every
    try {
      const page = await events(after)
      if (after === 'latest') {
        await queries.invalidateQueries() // what was read before is of unknown age
      }
      if (page.items.length > 0) {
        touch(queries, new Set(page.items.flatMap((e) => e.conversation_id ?? [])))
      }
      after = String(page.next_after)
      pause = page.next_cursor === null ? pause : 0
      failures = 0
      tell('live')
    } catch (e) {
      if (stop.aborted) {
        return
      }
      if (e instanceof Failure && (e.status === 401 || e.status === 403)) {
        tell('not allowed')
        return
      }
      failures++
      pause = Math.min(patience, every * 2 ** failures)
      tell('interrupted')
    }
    await rest(pause, stop)
  }
}

function touch(queries: QueryClient, ids: Set<string>): void {
  void queries.invalidateQueries({ queryKey: ['conversations'] })
  for (const id of ids) {
    void queries.invalidateQueries({ queryKey: ['conversation', id] })
    void queries.invalidateQueries({ queryKey: ['messages', id] })
  }
}

/** Waits; shorter when the page is looked at again or the end comes. */
function rest(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', seen)
      stop.removeEventListener('abort', done)
      resolve()
    }
    const seen = () => {
      if (!document.hidden) {
        done()
      }
    }
    const timer = setTimeout(done, ms)
    document.addEventListener('visibilitychange', seen)
    stop.addEventListener('abort', done)
  })
}
