import { useSyncExternalStore } from 'react'

// The token lives in this tab until it is closed: not in a cookie, not on disk.
const name = 'kaiwa-token'
const listeners = new Set<() => void>()

export function token(): string | null {
  return sessionStorage.getItem(name)
}

export function signIn(value: string): void {
  sessionStorage.setItem(name, value)
  listeners.forEach((tell) => tell())
}

export function signOut(): void {
  sessionStorage.removeItem(name)
  listeners.forEach((tell) => tell())
}

/** The token of this tab, null when nobody is signed in. */
export function useToken(): string | null {
  return useSyncExternalStore((tell) => {
    listeners.add(tell)
    return () => listeners.delete(tell)
  }, token)
}
