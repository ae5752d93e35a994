import { describe, expect, it } from 'vitest'
import { fate, show } from './message'

const none = { text: null, payload: null, state: 'accepted' as const }

describe('show', () => {
  it('shows text as it is, with the buttons under it', () => {
    expect(show({ ...none, type: 'quick_replies', text: 'Which?', payload: { quick_replies: [{ label: 'A', text: 'a' }, { label: 'B' }, {}] } })).toEqual({
      kind: null,
      text: 'Which?',
      buttons: ['A', 'B'],
    })
  })
  it('says in words what is no text', () => {
    expect(show({ ...none, type: 'file', payload: { fileName: '請求書.pdf', fileSize: 10 } })).toMatchObject({ kind: 'File', text: '請求書.pdf' })
    expect(show({ ...none, type: 'location', payload: { title: 'Office', address: '四谷1-6-1' } })).toMatchObject({ kind: 'Location', text: 'Office, 四谷1-6-1' })
    expect(show({ ...none, type: 'flex', payload: { alt_text: 'Your order' } })).toMatchObject({ kind: 'Card', text: 'Your order' })
    expect(show({ ...none, type: 'sticker', payload: { keywords: ['love', 'cony'] } })).toMatchObject({ kind: 'Sticker', text: 'love, cony' })
  })
  it('names what it does not know', () => {
    expect(show({ ...none, type: 'hologram', payload: {} })).toEqual({ kind: 'hologram', text: null, buttons: [] })
  })
  it('shows nothing of what was taken back', () => {
    expect(show({ type: 'text', text: 'secret', payload: null, state: 'recalled' })).toEqual({ kind: null, text: null, buttons: [] })
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
