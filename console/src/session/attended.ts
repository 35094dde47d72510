/** A page nobody touched for so long asks nothing more, so that the session of a deserted desk ends as it should. */
export const attendedMs = 20 * 60_000

let touchedAt = Date.now()

export function watchAttendance(): void {
  const touch = () => {
    touchedAt = Date.now()
  }
  for (const event of ['pointerdown', 'pointermove', 'keydown', 'wheel', 'focus']) {
    window.addEventListener(event, touch, { passive: true, capture: true })
  }
}

/** Somebody is there, and the page can be seen. */
export function isAttended(now = Date.now()): boolean {
  return !document.hidden && now - touchedAt < attendedMs
}
