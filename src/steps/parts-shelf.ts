import type { StepRun } from '../flow/step.ts'
import type { Message } from '../kernel/message.ts'

/** What a split leaves for a gather: the parts as they came out of its steps. */
export interface GatheredParts {
  readonly messages: Message[]
  /** Bytes of all bodies; the messages are let go when they pass the limit of what is read into memory. */
  bytes: number
  isTooLarge: boolean
}

const place = 'split.parts'

export function putParts(run: StepRun, parts: GatheredParts): void {
  run.shelf.set(place, parts)
}

export function takeParts(run: StepRun): GatheredParts | undefined {
  return run.shelf.get(place) as GatheredParts | undefined
}

export function addPart(parts: GatheredParts, message: Message, bytesMax: number): void {
  parts.bytes += message.body.bytes
  if (parts.bytes > bytesMax) {
    parts.isTooLarge = true
    parts.messages.length = 0
  }
  if (!parts.isTooLarge) parts.messages.push(message)
}
