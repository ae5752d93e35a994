import type { Message } from '../api.gen'

/** What a message shows: its text, or in words what it is, and what belongs to it. */
export type Shown = {
  /** What kind of message it is, when it is not plain text. */
  kind: string | null
  /** What it says; null when nothing can be said. */
  text: string | null
  /** Labels of the buttons under it. */
  buttons: string[]
  /** The file it carries, and a picture of it where Kaiwa keeps one. */
  file: { url: string; picture: string | null } | null
  /** The name under which the customer sees it, when that is not the account's own. */
  as: string | null
}

type Said = Pick<Message, 'type' | 'text' | 'payload' | 'state'> & Partial<Pick<Message, 'attachment'>>

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
  imagemap: 'Picture with links',
  coupon: 'Coupon',
  unsupported: 'A kind of message that Kaiwa does not know',
}

const plain = ['text', 'text_v2', 'quick_replies']

export function show(m: Said): Shown {
  if (m.state === 'recalled') {
    return { kind: null, text: null, buttons: [], file: null, as: null }
  }
  const p = m.payload ?? {}
  const kind = plain.includes(m.type) ? null : (kinds[m.type] ?? m.type)
  return { kind, text: text(m, p), buttons: buttons(p), file: file(m, p), as: words(object(p['sender'])['name']) }
}

function text(m: Said, p: Record<string, unknown>): string | null {
  if (m.type === 'text_v2' && m.text !== null) {
    return substituted(m.text, object(p['substitution']))
  }
  if (m.text !== null && m.text !== '') {
    return m.text
  }
  switch (m.type) {
    case 'file':
      return words(m.attachment?.file_name ?? p['fileName'])
    case 'location':
      return words(p['title'], p['address'])
    case 'sticker':
      return (Array.isArray(p['keywords']) ? words(...p['keywords'].slice(0, 3)) : null) ?? words(p['sticker_id'])
    case 'postback':
      return words(p['data'])
    case 'template':
    case 'flex':
    case 'imagemap':
      return words(p['alt_text'])
    case 'coupon':
      return words(p['coupon_id'])
    default:
      return null
  }
}

/** A text of version 2 in words: LINE's emoji cannot be shown, so a sign stands for them. */
function substituted(text: string, by: Record<string, unknown>): string {
  return text.replace(/\{\{|\}\}|\{(\w{1,20})\}/g, (whole, name: string | undefined) => {
    if (name === undefined) {
      return whole.slice(1)
    }
    const o = object(by[name])
    switch (o['type']) {
      case 'emoji':
        return '☺'
      case 'mention':
        return object(o['mentionee'])['type'] === 'all' ? '@all' : '@…'
      default:
        return whole
    }
  })
}

/** What can be loaded. Pictures are shown only where Kaiwa keeps them: others would tell their host who reads them. */
function file(m: Said, p: Record<string, unknown>): Shown['file'] {
  if (typeof m.attachment?.url === 'string') {
    return { url: m.attachment.url, picture: m.attachment.preview_url }
  }
  const url = p['url']
  return typeof url === 'string' && /^https?:/.test(url) ? { url, picture: null } : null
}

/** The message among others that this one quotes; null when it quotes none, or none of them. */
export function quoted(m: Pick<Message, 'payload'>, among: Message[]): Message | null {
  const ours = m.payload?.['quote_message_id']
  const theirs = m.payload?.['quotedMessageId']
  return among.find((o) => (typeof ours === 'string' && o.id === ours) || (typeof theirs === 'string' && o.line_message_id === theirs)) ?? null
}

/** A message in a few words, for where another quotes it. */
export function excerpt(m: Said): string {
  const { kind, text } = show(m)
  return text ?? kind ?? 'A message that was taken back'
}

function object(v: unknown): Record<string, unknown> {
  return typeof v === 'object' && v !== null ? (v as Record<string, unknown>) : {}
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
