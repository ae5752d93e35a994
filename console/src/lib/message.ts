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
  /** Where a place is on a map. */
  map: string | null
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
  account_link: 'The way to link their account',
  unsupported: 'A kind of message that Kaiwa does not know',
}

const plain = ['text', 'text_v2', 'quick_replies']

/** What happened, where it is no message, in words; {type} stands for what LINE says more closely. */
const events: Record<string, string> = {
  follow: 'Added the account as a friend',
  unfollow: 'Blocked the account',
  join: 'Invited the account into the group',
  leave: 'The account is no longer in the group',
  memberJoined: 'Joined the group',
  memberLeft: 'Left the group',
  videoPlayComplete: 'Watched the video to its end',
  beacon: 'Came near a beacon',
  membership: 'Membership',
  deactivated: 'Another system serves this chat now; nothing is sent from here',
  activated: 'The chat is served from here again',
}

const nothing = { text: null, buttons: [], file: null, as: null, map: null }

export function show(m: Said): Shown {
  if (m.state === 'recalled') {
    return { kind: null, ...nothing }
  }
  const p = m.payload ?? {}
  if (m.type === 'event') {
    return { kind: happened(p), ...nothing }
  }
  const kind = plain.includes(m.type) ? null : (kinds[m.type] ?? m.type)
  return {
    kind,
    text: text(m, p),
    buttons: buttons(p),
    file: file(m, p),
    as: words(object(p['sender'])['name']),
    map: m.type === 'location' ? map(p) : null,
  }
}

function happened(p: Record<string, unknown>): string {
  const event = typeof p['event'] === 'string' ? p['event'] : ''
  const detail = typeof p['detail'] === 'object' && p['detail'] !== null ? (p['detail'] as Record<string, unknown>) : {}
  if (event === 'follow' && detail['isUnblocked'] === true) {
    return 'Unblocked the account'
  }
  if (event === 'accountLink') {
    return linking(detail)
  }
  const said = events[event] ?? event
  const more = words(detail['type'])
  return more === null ? said : `${said} (${more})`
}

/** What became of linking the customer's account, and with whom. */
function linking(detail: Record<string, unknown>): string {
  const customer = words(detail['customer_id'])
  switch (detail['result']) {
    case 'ok': {
      const said = customer === null ? 'Linked their account' : `Linked their account: customer ${customer}`
      return detail['contact'] === 'ambiguous' ? `${said}. Several contacts have this number; none was chosen` : said
    }
    case 'unlinked':
      return detail['ended_by'] === 'agent' ? 'An agent unlinked their account' : 'Unlinked their account'
    case 'expired':
      return 'Did not finish linking their account'
    default:
      return 'Linking their account failed'
  }
}

/** A place on Google Maps. Source: https://developers.google.com/maps/documentation/urls/get-started */
function map(p: Record<string, unknown>): string | null {
  const [lat, lon] = [p['latitude'], p['longitude']]
  if (typeof lat !== 'number' || typeof lon !== 'number') {
    return null
  }
  return `https://www.google.com/maps/search/?api=1&query=${encodeURIComponent(`${lat},${lon}`)}`
}

/** A stretch of a text; mention is set where somebody is named in it. */
export type Stretch = { text: string; mention: 'self' | 'other' | null }

/** The text with the mentions in it. LINE counts in UTF-16 units, as JavaScript does. */
export function stretches(m: Pick<Message, 'type' | 'text' | 'payload'>): Stretch[] {
  const said = m.text ?? ''
  const list = field(field(m.payload, 'mention'), 'mentionees')
  const found = (Array.isArray(list) ? list : []).flatMap((x: unknown) => {
    const [from, length] = [field(x, 'index'), field(x, 'length')]
    const fits = typeof from === 'number' && typeof length === 'number' && from >= 0 && length > 0 && from + length <= said.length
    return fits ? [{ from, to: from + length, self: field(x, 'isSelf') === true }] : []
  })
  const out: Stretch[] = []
  let at = 0
  for (const f of found.sort((a, b) => a.from - b.from)) {
    if (f.from < at) {
      continue
    }
    if (f.from > at) {
      out.push({ text: said.slice(at, f.from), mention: null })
    }
    out.push({ text: said.slice(f.from, f.to), mention: f.self ? 'self' : 'other' })
    at = f.to
  }
  if (at < said.length) {
    out.push({ text: said.slice(at), mention: null })
  }
  return out
}

function field(of: unknown, name: string): unknown {
  return typeof of === 'object' && of !== null ? (of as Record<string, unknown>)[name] : undefined
}

/** Messages in rows: images that were sent together are one, in their order, where the first of them is. */
export function rows<M extends Pick<Message, 'image_set'>>(messages: M[]): M[][] {
  const out: M[][] = []
  const sets = new Map<string, M[]>()
  for (const m of messages) {
    const set = m.image_set === null ? undefined : sets.get(m.image_set.id)
    if (set !== undefined) {
      set.push(m)
      continue
    }
    const row = [m]
    out.push(row)
    if (m.image_set !== null) {
      sets.set(m.image_set.id, row)
    }
  }
  for (const row of sets.values()) {
    row.sort((a, b) => (a.image_set?.index ?? Infinity) - (b.image_set?.index ?? Infinity) || 0)
  }
  return out
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
      return words(p['text']) ?? (Array.isArray(p['keywords']) ? words(...p['keywords'].slice(0, 3)) : null) ?? words(p['sticker_id'])
    case 'postback':
      return words(p['data'], ...Object.values(typeof p['params'] === 'object' && p['params'] !== null ? p['params'] : {}))
    case 'unsupported':
      return words(p['type'], p['event'])
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
