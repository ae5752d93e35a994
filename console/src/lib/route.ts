import { useSyncExternalStore, type MouseEvent } from 'react'

// The console has two addresses: / and /conversations/{id}. The server answers
// both with the same page.

const listeners = new Set<() => void>()

export function go(path: string): void {
  history.pushState(null, '', path)
  listeners.forEach((tell) => tell())
}

/** The id of the conversation that the address names, or null. */
export function useConversationID(): string | null {
  const path = useSyncExternalStore(
    (tell) => {
      listeners.add(tell)
      window.addEventListener('popstate', tell)
      return () => {
        listeners.delete(tell)
        window.removeEventListener('popstate', tell)
      }
    },
    () => location.pathname,
  )
  return /^\/conversations\/([\w-]+)$/.exec(path)?.[1] ?? null
}

/** Properties of a link within the console: it opens here unless a new tab is asked for. */
export function link(path: string) {
  return {
    href: path,
    onClick: (e: MouseEvent) => {
      if (e.button === 0 && !e.metaKey && !e.ctrlKey && !e.shiftKey && !e.altKey) {
        e.preventDefault()
        go(path)
      }
    },
  }
}
