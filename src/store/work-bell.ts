/** Tells listeners once per group of commits that there may be work. */
export function openWorkBell() {
  const listeners: (() => void)[] = []
  let isRinging = false
  return {
    listen: (callback: () => void) => void listeners.push(callback),
    ring() {
      if (isRinging) return
      isRinging = true
      queueMicrotask(() => {
        isRinging = false
        for (const listener of listeners) listener()
      })
    },
  }
}
