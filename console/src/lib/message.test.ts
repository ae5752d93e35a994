import { describe, expect, it } from 'vitest'
import type { Message } from '../api.gen'
import { fate, rows, show, stretches } from './message'

const none = { text: null, payload: null, state: 'accepted' as const }

describe('show', () => {
  it('shows text as it is, with the buttons under it', () => {
    expect(show({ ...none, type: 'quick_replies', text: 'Which?', payload: { quick_replies: [{ label: 'A', text: 'a' }, { label: 'B' }, {}] } })).toEqual({
      kind: null,
      text: 'Which?',
      buttons: ['A', 'B'],
      file: null,
      as: null,
      map: null,
    })
  })
  it('says in words what is no text', () => {
    expect(show({ ...none, type: 'file', payload: { fileName: '請求書.pdf', fileSize: 10 } })).toMatchObject({ kind: 'File', text: '請求書.pdf' })
    expect(show({ ...none, type: 'location', payload: { title: 'Office', address: '四谷1-6-1' } })).toMatchObject({ kind: 'Location', text: 'Office, 四谷1-6-1' })
    expect(show({ ...none, type: 'flex', payload: { alt_text: 'Your order' } })).toMatchObject({ kind: 'Card', text: 'Your order' })
    expect(show({ ...none, type: 'sticker', payload: { keywords: ['love', 'cony'] } })).toMatchObject({ kind: 'Sticker', text: 'love, cony' })
  })
  it('names what it does not know', () => {
    expect(show({ ...none, type: 'hologram', payload: {} })).toMatchObject({ kind: 'hologram', text: null, buttons: [] })
  })
  it('shows nothing of what was taken back', () => {
    expect(show({ type: 'text', text: 'secret', payload: null, state: 'recalled' })).toEqual({ kind: null, text: null, buttons: [], file: null, as: null, map: null })
  })
  it('says what agents and bots send', () => {
    const emoji = { type: 'emoji', productId: 'p', emojiId: '001' }
    const substitution = { smile: emoji, all: { type: 'mention', mentionee: { type: 'all' } }, you: { type: 'mention', mentionee: { type: 'user', userId: 'U1' } } }
    expect(show({ ...none, type: 'text_v2', text: '{{x}} {smile} {all} {you} {none}', payload: { substitution } })).toMatchObject({ kind: null, text: '{x} ☺ @all @… {none}' })
    expect(show({ ...none, type: 'sticker', payload: { package_id: '446', sticker_id: '1988' } })).toMatchObject({ kind: 'Sticker', text: '1988' })
    expect(show({ ...none, type: 'imagemap', payload: { alt_text: 'Our shop' } })).toMatchObject({ kind: 'Picture with links', text: 'Our shop' })
    expect(show({ ...none, type: 'coupon', payload: { coupon_id: 'c1' } })).toMatchObject({ kind: 'Coupon', text: 'c1' })
    expect(show({ ...none, type: 'text', text: 'Hi', payload: { sender: { name: 'Aya' } } }).as).toBe('Aya')
  })
  it('shows pictures that Kaiwa keeps, and links to the others', () => {
    const attachment = { url: 'https://files.test/a', preview_url: 'https://files.test/a/preview', file_name: 'a.jpg' } as Message['attachment']
    expect(show({ ...none, type: 'image', attachment }).file).toEqual({ url: 'https://files.test/a', picture: 'https://files.test/a/preview' })
    expect(show({ ...none, type: 'image', payload: { url: 'https://example.com/a.jpg' } }).file).toEqual({ url: 'https://example.com/a.jpg', picture: null })
    expect(show({ ...none, type: 'image', payload: { url: 'javascript:alert(1)' } }).file).toBeNull()
  })
})

describe('show, of what is no text', () => {
  it('says what a sticker says, before what it is about', () => {
    expect(show({ ...none, type: 'sticker', payload: { text: 'おはよう', keywords: ['morning'] } }).text).toBe('おはよう')
  })
  it('links a place to a map', () => {
    expect(show({ ...none, type: 'location', payload: { latitude: 35.68, longitude: 139.76 } }).map).toBe('https://www.google.com/maps/search/?api=1&query=35.68%2C139.76')
    expect(show({ ...none, type: 'location', payload: { latitude: '35' } }).map).toBeNull()
  })
  it('shows what was picked with a button', () => {
    expect(show({ ...none, type: 'postback', payload: { data: 'book', params: { datetime: '2026-12-24T18:30' } } }).text).toBe('book, 2026-12-24T18:30')
    expect(show({ ...none, type: 'postback', payload: { data: 'book', params: null } }).text).toBe('book')
  })
  it('says in words what happened', () => {
    const event = (name: string, detail?: object) => show({ ...none, type: 'event', payload: { event: name, detail } }).kind
    expect(event('unfollow')).toBe('Blocked the account')
    expect(event('follow', { isUnblocked: true })).toBe('Unblocked the account')
    expect(event('beacon', { type: 'enter', hwid: 'a1' })).toBe('Came near a beacon (enter)')
    expect(event('membership', { type: 'renewed', membershipId: 3 })).toBe('Membership (renewed)')
    expect(event('accountLink', { result: 'failed' })).toBe('Linking their account failed')
    expect(event('accountLink', { result: 'ok' })).toBe('Linked their account')
    expect(event('accountLink', { result: 'ok', customer_id: 'C-1', contact: 'found' })).toBe('Linked their account: customer C-1')
    expect(event('accountLink', { result: 'ok', customer_id: 'C-1', contact: 'ambiguous' })).toContain('none was chosen')
    expect(event('accountLink', { result: 'unlinked', customer_id: 'C-1', ended_by: 'agent' })).toBe('An agent unlinked their account')
    expect(event('accountLink', { result: 'unlinked', customer_id: 'C-1', ended_by: 'customer' })).toBe('Unlinked their account')
    expect(event('accountLink', { result: 'expired' })).toBe('Did not finish linking their account')
    expect(show({ ...none, type: 'unsupported', payload: { event: 'teleport' } }).text).toBe('teleport')
  })
})

describe('stretches', () => {
  const said = (text: string, mentionees: unknown) => stretches({ type: 'text', text, payload: { mention: { mentionees } } })
  it('marks who is named', () => {
    expect(said('🙂 @you now', [{ index: 3, length: 4, isSelf: true }])).toEqual([
      { text: '🙂 ', mention: null },
      { text: '@you', mention: 'self' },
      { text: ' now', mention: null },
    ])
  })
  it('leaves alone what does not fit the text', () => {
    expect(said('hi', [{ index: 1, length: 9 }, { index: 'x' }, null])).toEqual([{ text: 'hi', mention: null }])
    expect(said('hi', 'nobody')).toEqual([{ text: 'hi', mention: null }])
  })
})

describe('rows', () => {
  const m = (id: string, set: string | null, index: number | null = null) => ({ id, image_set: set === null ? null : { id: set, index, total: null } })
  it('puts images that were sent together into their order, where the first is', () => {
    const ids = rows([m('a', null), m('b', 's', 2), m('c', null), m('d', 's', 1), m('e', 't')]).map((row) => row.map((x) => x.id))
    expect(ids).toEqual([['a'], ['d', 'b'], ['c'], ['e']])
  })
  it('keeps the order of arrival where LINE gives none', () => {
    expect(rows([m('a', 's'), m('b', 's')]).map((row) => row.map((x) => x.id))).toEqual([['a', 'b']])
  })
})

describe('fate', () => {
  it('never says delivered, because LINE does not tell', () => {
    expect(fate({ state: 'accepted', direction: 'outbound', via: 'reply', failure: null })).toBe('Accepted by LINE as a free reply')
    expect(fate({ state: 'accepted', direction: 'inbound', via: null, failure: null })).toBeNull()
  })
  it('gives the reason why a message was not sent', () => {
    expect(fate({ state: 'failed', direction: 'outbound', via: 'push', failure: { code: 'quota', detail: 'The monthly quota is used up.' } })).toBe(
      'Not sent: The monthly quota is used up.',
    )
  })
})
