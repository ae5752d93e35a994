/**
 * Finds the seq of the latest event. Events are numbered without gaps from 1,
 * so whether one stands after a number tells on which side the end lies: a few
 * dozen tiny requests find it among millions, where reading them all would not
 * end.
 */
export async function latest(anyAfter: (seq: number) => Promise<boolean>): Promise<number> {
  let low = 0 // there may be an event after it
  let high = 1
  if (!(await anyAfter(0))) {
    return 0
  }
  while (await anyAfter(high)) {
    low = high
    high *= 4
  }
  // one stands after low, none after high
  while (high - low > 1) {
    const middle = low + Math.floor((high - low) / 2)
    if (await anyAfter(middle)) {
      low = middle
    } else {
      high = middle
    }
  }
  return high
}
