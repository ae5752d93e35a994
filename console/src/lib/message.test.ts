import { describe, expect, it } from 'vitest'
import type { Message } from '../api.gen'
import { excerpt, fate, quoted, show } from './message'

const none = { text: null, payload: null, state: 'accepted' as const }

describe('show', () => {
  it('shows text as it is, with the buttons under it', () => {
    expect(show({ ...none, type: 'quick_replies', text: 'Which?', payload: { quick_replies: [{ label: 'A', text: 'a' }, { label: 'B' }, {}] } })).toEqual({
      kind: null,
      text: 'Which?',
      buttons: ['A', 'B'],
      file: null,
      as: null,
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
    expect(show({ type: 'text', text: 'secret', payload: null, state: 'recalled' })).toEqual({ kind: null, text: null, buttons: [], file: null, as: null })
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

describe('quoted', () => {
  const said = { id: 'msg_1', line_message_id: '4711', type: 'text', text: 'Which one?', payload: null, state: 'accepted' } as Message
  it('finds what an agent and what a customer quote', () => {
    expect(quoted({ payload: { quote_message_id: 'msg_1' } }, [said])).toBe(said)
    expect(quoted({ payload: { quotedMessageId: '4711' } }, [said])).toBe(said)
    expect(quoted({ payload: { quote_message_id: 'msg_2' } }, [said])).toBeNull()
    expect(quoted({ payload: null }, [said])).toBeNull()
  })
  it('says it in a few words', () => {
    expect(excerpt(said)).toBe('Which one?')
    expect(excerpt({ ...said, type: 'image', text: null })).toBe('Picture')
    expect(excerpt({ ...said, state: 'recalled' })).toBe('A message that was taken back')
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
