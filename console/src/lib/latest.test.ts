import { describe, expect, it } from 'vitest'
import { latest } from './latest'

describe('latest', () => {
  it.each([0, 1, 2, 3, 4, 5, 63, 64, 65, 1_000_003, 5_000_000_000])('finds the end at %d', async (end) => {
    let asked = 0
    const found = await latest(async (seq) => {
      asked++
      return seq < end
    })
    expect(found).toBe(end)
    expect(asked).toBeLessThan(60)
  })
})
