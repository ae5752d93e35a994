// Times come from the API in UTC; people read them in their own zone.

/** The zone that times are shown in. */
export function zone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone
}

/** Writes a point in time for reading: the time alone when it is today, else with the date. */
export function clock(iso: string, now: Date, locale?: string, timeZone?: string): string {
  const at = new Date(iso)
  const inZone = timeZone === undefined ? {} : { timeZone }
  const day = new Intl.DateTimeFormat('en-CA', { dateStyle: 'short', ...inZone })
  if (day.format(at) === day.format(now)) {
    return new Intl.DateTimeFormat(locale, { timeStyle: 'short', ...inZone }).format(at)
  }
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short', ...inZone }).format(at)
}

/** Writes a point in time in full, to the second and with its zone. */
export function exact(iso: string, locale?: string, timeZone?: string): string {
  const inZone = timeZone === undefined ? {} : { timeZone }
  return new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeStyle: 'long', ...inZone }).format(new Date(iso))
}

const units = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
] as const

/**
 * Writes how long ago something was, in one unit, rounded down: "4 min". A time
 * in the future, which clocks that differ produce, counts as now.
 */
export function since(iso: string, now: Date, locale?: string): string {
  const seconds = Math.max(0, Math.floor((now.getTime() - new Date(iso).getTime()) / 1000))
  const [unit, size] = units.find((u) => seconds >= u[1]) ?? (['second', 1] as const)
  return new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'short' }).format(Math.floor(seconds / size))
}
