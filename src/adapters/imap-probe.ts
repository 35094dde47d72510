import type { SenderMemory } from '../flow/adapter.ts'

const memoryName = 'probes'
/** Probes of ours that may still be on their way. */
const rememberedMax = 50
const tokenPattern = /^[A-Za-z0-9._-]{1,100}$/

/** Remembers a probe before it is sent: a mail counts as a probe only if the hub itself sent it. */
export async function rememberProbe(memory: SenderMemory, token: string): Promise<void> {
  const tokens = await readTokens(memory)
  await memory.set(memoryName, [...tokens, token].slice(-rememberedMax))
}

/** The token when it is one of ours: anybody can write a header. */
export async function recogniseProbe(memory: SenderMemory, claimed: string | undefined): Promise<string | undefined> {
  if (claimed === undefined || !tokenPattern.test(claimed)) return undefined
  return (await readTokens(memory)).includes(claimed) ? claimed : undefined
}

/** The probe as a mail from a mailbox to itself. */
export function composeProbe(mailbox: string, token: string, now: number): Buffer {
  const date = new Date(now).toUTCString().replace('GMT', '+0000')
  const lines = [
    `From: <${mailbox}>`,
    `To: <${mailbox}>`,
    'Subject: Isthmus probe',
    `Date: ${date}`,
    `Message-ID: <${token}@probe.isthmus>`,
    `X-Isthmus-Probe: ${token}`,
    'Auto-Submitted: auto-generated',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=us-ascii',
    '',
    'This mail was sent by the integration hub to prove that the way of the mails works.',
    '',
  ]
  return Buffer.from(lines.join('\r\n'))
}

async function readTokens(memory: SenderMemory): Promise<string[]> {
  const stored = await memory.get(memoryName)
  return Array.isArray(stored) ? stored.filter((token): token is string => typeof token === 'string') : []
}
