const turns: Readonly<Record<string, readonly [word: string, sentence: string]>> = {
  sender: ['Sending side', 'The sending side, or whoever keeps its credential.'],
  receiver: ['Receiving side', 'The receiving side, or whoever keeps its credential.'],
  hub: ['Hub', 'Whoever runs this hub.'],
  flow: ['Flow', 'Whoever wrote the flow.'],
  caller: ['Caller', 'Whoever calls the hub.'],
}

/** Whose turn it is, by the side that an error names; in the words of the alerts. */
export function turnOf(side: string): string {
  return turns[side]?.[1] ?? side
}

/** The same in a word or two, for a column. */
export function sideWord(side: string): string {
  return turns[side]?.[0] ?? side
}
