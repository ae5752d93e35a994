const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** The first max characters of a text, as people count them. */
function first(text: string, max: number): string {
  let count = 0
  for (const { index } of graphemes.segment(text)) {
    if (count++ === max) {
      return text.slice(0, index)
    }
  }
  return text
}

/** Cuts a text to at most max characters as people count them; the last is … when something is missing. */
export function truncate(text: string, max: number): string {
  return first(text, max) === text ? text : first(text, max - 1).trimEnd() + '…'
}

/** The first character of a name, to stand for a picture that is missing. */
export function initial(name: string): string {
  return first(name.trim(), 1).toLocaleUpperCase()
}
