/** A line of transaction SO50: which exit gets the mails to a recipient. */
export interface InboundRule {
  /** An address, `*@domain`, or `*`. */
  readonly recipient: string
  /** Name of the exit class, or of what it starts. */
  readonly process: string
}

/** The process that gets the mails to this recipient; `NONE` when no rule fits, and the mail stays in the inbox. */
export function findProcess(rules: readonly InboundRule[], recipient: string): string {
  const address = recipient.toLowerCase()
  const fits = (pattern: string) =>
    pattern === '*' ||
    pattern.toLowerCase() === address ||
    (pattern.startsWith('*@') && address.endsWith(pattern.slice(1).toLowerCase()))
  return rules.find(rule => fits(rule.recipient))?.process ?? 'NONE'
}

/** Whether a client knows the address. SAPconnect is no mail relay: what it does not know it refuses. */
export function knowsRecipient(
  known: { readonly domains?: readonly string[]; readonly addresses?: readonly string[] },
  recipient: string,
): boolean {
  const address = recipient.toLowerCase()
  const isListed = known.addresses?.some(each => each.toLowerCase() === address) ?? false
  return isListed || (known.domains?.some(domain => address.endsWith(`@${domain.toLowerCase()}`)) ?? false)
}
