import { describe, expect, it } from 'vitest'
import { initial, truncate } from './text'

describe('truncate', () => {
  it('leaves what fits alone', () => {
    expect(truncate('佐藤さん', 4)).toBe('佐藤さん')
    expect(truncate('', 3)).toBe('')
  })
  it('counts what people count', () => {
    expect(truncate('👨‍👩‍👧‍👦👍🏽🇯🇵', 3)).toBe('👨‍👩‍👧‍👦👍🏽🇯🇵')
    expect(truncate('👨‍👩‍👧‍👦👍🏽🇯🇵🎌', 3)).toBe('👨‍👩‍👧‍👦👍🏽…')
    expect(truncate('ที่นี่', 2)).toBe('ที่นี่') // marks belong to their letter
  })
  it('leaves no space before the dots', () => {
    expect(truncate('one two', 5)).toBe('one…')
  })
})

describe('initial', () => {
  it.each([
    [' anna', 'A'],
    ['👩🏽‍💻 dev', '👩🏽‍💻'],
    ['ที่นี่', 'ที่'],
    ['   ', ''],
  ])('%s → %s', (name, want) => {
    expect(initial(name)).toBe(want)
  })
})
