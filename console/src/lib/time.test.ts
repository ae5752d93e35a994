import { describe, expect, it } from 'vitest'
import { clock, exact, since } from './time'

const now = new Date('2026-03-10T01:30:00.000Z') // 10:30 in Tokyo, the evening before in New York

/** ICU writes a narrow no-break space before AM and PM. */
const plain = (s: string) => s.replaceAll(' ', ' ')

describe('clock', () => {
  it('leaves the date out when it is today in the zone of the reader', () => {
    expect(plain(clock('2026-03-09T20:05:00.000Z', now, 'en-US', 'Asia/Tokyo'))).toBe('5:05 AM')
    expect(plain(clock('2026-03-09T13:05:00.000Z', now, 'en-US', 'America/New_York'))).toBe('9:05 AM')
  })
  it('says the date when it is another day there, even if the day is the same in UTC', () => {
    expect(plain(clock('2026-03-10T03:59:00.000Z', new Date('2026-03-10T04:30:00.000Z'), 'en-US', 'America/New_York'))).toBe('Mar 9, 2026, 11:59 PM')
  })
  it('follows the language', () => {
    expect(clock('2026-03-09T20:05:00.000Z', now, 'ja', 'Asia/Tokyo')).toBe('5:05')
    expect(clock('2026-01-31T20:05:00.000Z', now, 'ja', 'Asia/Tokyo')).toBe('2026/02/01 5:05')
  })
})

describe('exact', () => {
  it('names the zone', () => {
    expect(exact('2026-03-09T20:05:07.000Z', 'en-GB', 'Asia/Bangkok')).toContain('03:05:07 GMT+7')
  })
})

describe('since', () => {
  it.each([
    ['2026-03-10T01:29:59.500Z', '0 sec'],
    ['2026-03-10T01:29:01.000Z', '59 sec'],
    ['2026-03-10T01:29:00.000Z', '1 min'],
    ['2026-03-10T00:30:01.000Z', '59 min'],
    ['2026-03-10T00:30:00.000Z', '1 hr'],
    ['2026-03-08T01:30:00.000Z', '2 days'],
    ['2026-03-10T01:31:00.000Z', '0 sec'],
  ])('%s is %s ago', (iso, text) => {
    expect(since(iso, now, 'en-US')).toBe(text)
  })
})
