export interface Delivered {
  readonly queueId: string
  /** As in the header, with its angle brackets; empty when the mail has none. Non-ASCII is shown as `?`. */
  readonly messageId: string
  readonly from: string
  readonly to: readonly string[]
  /** Octets in the queue: line ends count once, and Postfix's Received header counts too. */
  readonly sizeBytes: number
  /** Deliveries that ended well: 0 while the mail waits. More than there are recipients only after a kill in between. */
  readonly sentCount: number
}

/**
 * Reads Postfix's log: one entry per queue id, in order of acceptance. A mail counts as accepted from `cleanup`'s line on,
 * which is written before the client hears 250.
 */
export function readDeliveries(log: string): Delivered[] {
  const mails = new Map<string, { messageId: string; from: string; to: Set<string>; sizeBytes: number; sent: number }>()
  for (const line of log.split('\n')) {
    const [, queueId = '', fields = ''] = /postfix\/\w+\[\d+\]: (\w+): (.*)$/.exec(line) ?? []
    const messageId = /^message-id=(.*)$/.exec(fields)?.[1]
    if (messageId !== undefined) {
      const known = mails.get(queueId)
      mails.set(queueId, known ?? { messageId, from: '', to: new Set(), sizeBytes: 0, sent: 0 })
      continue
    }
    const mail = mails.get(queueId)
    if (!mail) continue
    const queued = /^from=<(.*?)>, size=(\d+)/.exec(fields)
    if (queued) {
      mail.from = queued[1] ?? ''
      mail.sizeBytes = Number(queued[2])
    }
    const attempt = /^to=<(.*?)>, .*\bstatus=(\w+)/.exec(fields)
    if (attempt) {
      mail.to.add(attempt[1] ?? '')
      if (attempt[2] === 'sent') mail.sent++
    }
  }
  return [...mails].map(([queueId, { messageId, from, to, sizeBytes, sent }]) => ({
    queueId,
    messageId,
    from,
    to: [...to],
    sizeBytes,
    sentCount: sent,
  }))
}
