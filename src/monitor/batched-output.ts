import { KiB } from '../kernel/size.ts'

const pendingCharsMax = 64 * KiB
/** Short enough for whoever watches, long enough for many lines in one system call. */
const batchMs = 20

/**
 * Gathers what is written within 20 ms into one write: at a thousand messages a second a system call for each log line
 * is a tenth of the hub's work. What is pending when the process ends is still written.
 */
export function batchOutput(output: { write(text: string): unknown }): { write(text: string): void } {
  let pending = ''
  let isScheduled = false

  function flush(): void {
    isScheduled = false
    const text = pending
    pending = ''
    if (text !== '') output.write(text)
  }

  process.once('exit', flush)
  return {
    write(text) {
      pending += text
      if (pending.length > pendingCharsMax) flush()
      else if (!isScheduled) {
        isScheduled = true
        setTimeout(flush, batchMs).unref()
      }
    },
  }
}
