import type { ReactNode } from 'react'

type Design = 'Positive' | 'Critical' | 'Negative' | 'Information' | 'Neutral'

const states: Readonly<Record<string, readonly [design: Design, words: string]>> = {
  // Flows and their links.
  starting: ['Information', 'Starting'],
  running: ['Positive', 'Running'],
  stopping: ['Information', 'Stopping'],
  stopped: ['Neutral', 'Stopped'],
  gone: ['Critical', 'Document gone'],
  up: ['Positive', 'Up'],
  down: ['Negative', 'Down'],
  stuck: ['Critical', 'Stuck'],
  // Messages.
  queued: ['Information', 'Waiting'],
  delivered: ['Positive', 'Delivered'],
  dropped: ['Neutral', 'Dropped'],
  rejected: ['Negative', 'Rejected'],
  'set-aside': ['Negative', 'Set aside'],
  skipped: ['Neutral', 'Skipped'],
  // Mailboxes.
  'not-activated': ['Neutral', 'Not activated'],
  testing: ['Information', 'Testing'],
  active: ['Positive', 'Active'],
  paused: ['Critical', 'Paused'],
  error: ['Negative', 'Error'],
  // Checks, step by step.
  ok: ['Positive', 'OK'],
  failed: ['Negative', 'Failed'],
  // Jobs.
  done: ['Positive', 'Done'],
  cancelled: ['Neutral', 'Cancelled'],
  // Credentials and keys.
  ready: ['Positive', 'Ready'],
  'needs-authorisation': ['Critical', 'Needs a sign-in'],
  'consent-missing': ['Critical', 'Consent missing'],
  refused: ['Negative', 'Refused'],
  'not-yet-valid': ['Critical', 'Not valid yet'],
  expired: ['Neutral', 'Expired'],
  revoked: ['Neutral', 'Revoked'],
  // Connectors and targets.
  connected: ['Positive', 'Connected'],
  away: ['Negative', 'Away'],
  ejected: ['Critical', 'Ejected'],
  drained: ['Neutral', 'Drained'],
  unknown: ['Neutral', 'Not known'],
}

/** A word in a colour; only what asks for attention is loud. */
export function Pill({ design, children }: { readonly design: Design; readonly children: ReactNode }) {
  return <span className={`pill ${design.toLowerCase()}`}>{children}</span>
}

/** The state of something in its word and colour. */
export function StateTag({ state }: { readonly state: string }) {
  const [design, words] = states[state] ?? ['Neutral', state]
  return <Pill design={design}>{words}</Pill>
}

/** The word alone, for filters and headings. */
export function stateWord(state: string): string {
  return states[state]?.[1] ?? state
}
