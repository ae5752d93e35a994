import type { Message } from '../api.gen'

/** What a message shows: its text, or in words what it is, and what belongs to it. */
export type Shown = {
  /** What kind of message it is, when it is not plain text. */
  kind: string | null
  /** What it says; null when nothing can be said. */
  text: string | null
  /** Labels of the buttons under it. */
  buttons: string[]
}

const kinds: Record<string, string> = {
  image: 'Picture',
  video: 'Video',
  audio: 'Voice message',
  file: 'File',
  location: 'Location',
  sticker: 'Sticker',
  postback: 'Tapped a button',
  template: 'Template',
  flex: 'Card',
  unsupported: 'A kind of message that Kaiwa does not know',
}

export function show(m: Pick<Message, 'type' | 'text' | 'payload' | 'state'>): Shown {
  if (m.state === 'recalled') {
    return { kind: null, text: null, buttons: [] }
  }
  const p = m.payload ?? {}
  const kind = m.type === 'text' || m.type === 'quick_replies' ? null : (kinds[m.type] ?? m.type)
  return { kind, text: text(m, p), buttons: buttons(p) }
}

function text(m: Pick<Message, 'type' | 'text'>, p: Record<string, unknown>): string | null {
  if (m.text !== null && m.text !== '') {
    return m.text
  }
  switch (m.type) {
    case 'file':
      return words(p['fileName'])
    case 'location':
      return words(p['title'], p['address'])
    case 'sticker':
      return Array.isArray(p['keywords']) ? words(...p['keywords'].slice(0, 3)) : null
    case 'postback':
      return words(p['data'])
    case 'template':
    case 'flex':
      return words(p['alt_text'])
    default:
      return null
  }
}

/** Those of the values that are text, in a row; null when none is. */
function words(...values: unknown[]): string | null {
  const said = values.filter((v): v is string => typeof v === 'string' && v !== '')
  return said.length === 0 ? null : said.join(', ')
}

function buttons(p: Record<string, unknown>): string[] {
  const replies = p['quick_replies']
  if (!Array.isArray(replies)) {
    return []
  }
  return replies.flatMap((r: unknown) => (typeof r === 'object' && r !== null && 'label' in r && typeof r.label === 'string' ? [r.label] : []))
}

/** What is to be said about the way of a message to LINE; null when nothing is. */
export function fate(m: Pick<Message, 'state' | 'via' | 'direction' | 'failure'>): string | null {
  switch (m.state) {
    case 'recalled':
      return 'Taken back by the customer'
    case 'pending':
      return 'On its way to LINE'
    case 'failed':
      return `Not sent: ${m.failure?.detail ?? 'LINE did not take it'}`
    case 'uncertain':
      return 'Uncertain: nobody can know whether LINE took it'
    case 'accepted':
      if (m.direction !== 'outbound') {
        return null
      }
      return m.via === 'push' ? 'Accepted by LINE as a push, which is paid' : m.via === 'reply' ? 'Accepted by LINE as a free reply' : 'Accepted by LINE'
  }
}
