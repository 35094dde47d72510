import type { SenderMemory } from '../flow/adapter.ts'

const openName = 'probes'
const usedName = 'probes-used'
/** Probes of ours that may still be on their way, and those that came, which are remembered. */
const rememberedMax = 50
const tokenPattern = /^[A-Za-z0-9._-]{1,100}$/

/**
 * What a token in a mail is worth: `open` for a probe that is awaited, `used` when one came with it already, undefined
 * when it is none of ours (anybody can write a header).
 */
export type ProbeToken = { readonly token: string; readonly state: 'open' | 'used' } | undefined

/** Remembers a probe before it is sent: a mail counts as a probe only if the hub itself sent it. */
export function rememberProbe(memory: SenderMemory, token: string): Promise<void> {
  return inTurn(memory, () => addToken(memory, openName, token))
}

export async function recogniseProbe(memory: SenderMemory, claimed: string | undefined): Promise<ProbeToken> {
  if (claimed === undefined || !tokenPattern.test(claimed)) return undefined
  if ((await readTokens(memory, openName)).includes(claimed)) return { token: claimed, state: 'open' }
  return (await readTokens(memory, usedName)).includes(claimed) ? { token: claimed, state: 'used' } : undefined
}

/** The probe came through: whatever comes with its token from now on is no success of it. */
export function useProbe(memory: SenderMemory, token: string): Promise<void> {
  return inTurn(memory, async () => {
    await addToken(memory, usedName, token)
    const open = await readTokens(memory, openName)
    await memory.set(
      openName,
      open.filter(each => each !== token),
    )
  })
}

const turns = new WeakMap<SenderMemory, Promise<void>>()

/** Mailboxes of one flow share its memory; what one writes must not undo what another just wrote. */
function inTurn(memory: SenderMemory, work: () => Promise<void>): Promise<void> {
  const turn = (turns.get(memory) ?? Promise.resolve()).then(work, work)
  turns.set(memory, turn)
  return turn
}

async function addToken(memory: SenderMemory, name: string, token: string): Promise<void> {
  await memory.set(name, [...(await readTokens(memory, name)), token].slice(-rememberedMax))
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

async function readTokens(memory: SenderMemory, name: string): Promise<string[]> {
  const stored = await memory.get(name)
  return Array.isArray(stored) ? stored.filter((token): token is string => typeof token === 'string') : []
}
