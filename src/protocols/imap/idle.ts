import type { ImapConnection } from './connection.ts'
import { imapErrors } from './errors.ts'
import { imapLimits } from './limits.ts'

/**
 * Waits in IDLE (RFC 2177) until something changed in the folder (`news`), until `stop` aborts, or until it is time to
 * renew. Throws IMAP_TIMEOUT when the server does not end it: that connection is dead.
 */
export async function idle(connection: ImapConnection, stop: AbortSignal): Promise<'news' | 'stopped' | 'renew'> {
  if (stop.aborted) return 'stopped'
  const { clock, timeoutMs, names } = connection.options
  const giveUp = (command: string) => () =>
    connection.close(imapErrors.TIMEOUT({ command, timeoutMs, user: names.user }))
  let reason: 'news' | 'stopped' | 'renew' | undefined
  let isStanding = false
  let cancelTimer = clock.after(timeoutMs, giveUp('IDLE'))
  const end = (why: 'news' | 'stopped' | 'renew') => {
    if (reason) return
    reason = why
    // DONE may only follow the server's continuation; until then the wish is remembered.
    if (isStanding) sayDone()
  }
  const sayDone = () => {
    cancelTimer()
    cancelTimer = clock.after(timeoutMs, giveUp('DONE'))
    connection.write('DONE\r\n')
  }
  const onStop = () => end('stopped')
  stop.addEventListener('abort', onStop, { once: true })
  try {
    await connection.run({
      text: 'IDLE',
      isExclusive: true,
      isPatient: true,
      onContinue() {
        // A server that repeats itself moves no deadline on.
        if (isStanding) return undefined
        isStanding = true
        cancelTimer()
        if (reason) sayDone()
        else cancelTimer = clock.after(imapLimits.idleRenewMs, () => end('renew'))
        return undefined
      },
      onData(response) {
        if (response.name === 'EXISTS' || response.name === 'RECENT') end('news')
        return false
      },
    })
    // A server that ends IDLE of its own accord is asked again, like one that wants to be renewed.
    return reason ?? 'renew'
  } finally {
    cancelTimer()
    stop.removeEventListener('abort', onStop)
  }
}
