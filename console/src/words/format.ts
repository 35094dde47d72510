const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/** How long something lasts, in its two largest units: `3 d 4 h`, `12 min`, `8 s`. */
export function durationWords(ms: number): string {
  if (ms < minute) return `${Math.max(0, Math.floor(ms / second))} s`
  if (ms < hour) return `${Math.floor(ms / minute)} min`
  if (ms < day) return twoUnits(ms, hour, 'h', minute, 'min')
  return twoUnits(ms, day, 'd', hour, 'h')
}

/** How long ago a time was, or how long until it comes. */
export function agoWords(time: string, now: number): string {
  const ms = now - Date.parse(time)
  if (Math.abs(ms) < 5 * second) return 'now'
  return ms < 0 ? `in ${durationWords(-ms)}` : `${durationWords(ms)} ago`
}

/** A time as people at this place write it, to the second, with its zone: those who are told it may be elsewhere. */
export function timeWords(time: string): string {
  const at = new Date(time)
  return Number.isNaN(at.getTime()) ? time : at.toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'long' })
}

/** The time of day at this place, to the millisecond. */
export function clockWords(time: string): string {
  const at = new Date(time)
  return `${at.toLocaleTimeString('en-GB')}.${String(at.getMilliseconds()).padStart(3, '0')}`
}

export function bytesWords(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`
  const units = ['KiB', 'MiB', 'GiB']
  let value = bytes / 1024
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

/** `1 mailbox`, `3 mailboxes`. */
export function countWords(count: number, one: string, many = `${one}s`): string {
  return `${numberWords(count)} ${count === 1 ? one : many}`
}

export function numberWords(count: number): string {
  return count.toLocaleString('en-GB')
}

function twoUnits(ms: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((ms % large) / small)
  return `${Math.floor(ms / large)} ${largeName}${rest > 0 ? ` ${rest} ${smallName}` : ''}`
}
