import type { Incoming, Receipt, ReceiverDeclaration, SenderDeclaration } from '../../flow/adapter.ts'
import type { LoadedFlow } from '../../flow/document.ts'
import { isNode } from '../../flow/node-places.ts'
import { isPlainObject } from '../../flow/plain-object.ts'
import type { Declarations } from '../../flow/schema.ts'
import type { StepDeclaration, StepResult } from '../../flow/step.ts'
import { whenAborted } from '../../kernel/abort.ts'
import { asHubError, type HubError } from '../../kernel/error.ts'
import type { Message } from '../../kernel/message.ts'
import { shownConfig } from './shown-config.ts'
import { trialErrors } from './trial-errors.ts'

/** What a trial hands over: the bytes that would come to the sender. */
export interface Given {
  readonly body: Uint8Array
  /** Media type; undefined: what the sender would say. */
  readonly type: string | undefined
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** Of a request; undefined: the first that the endpoint takes. */
  readonly method?: string | undefined
  /** Path of a request below /flows, with its query; undefined: that of the endpoint. */
  readonly path?: string | undefined
}

/** What happened in a trial, in its order. */
export type TrialEvent =
  | { readonly what: 'taken'; readonly message: Message }
  | {
      readonly what: 'step'
      readonly place: string
      readonly id: string
      readonly message: Message
      readonly result: StepResult | { readonly error: HubError }
    }
  | {
      readonly what: 'receiver'
      readonly place: string
      readonly id: string
      readonly message: Message
      /** Its texts and templates, with what stands there for this message. */
      readonly config: Readonly<Record<string, unknown>>
      readonly isAnswered: boolean
    }

export interface Recording {
  readonly given: Given
  /** What receivers that are asked answer, by the step that asks them (`steps[1].call`). */
  readonly answers: ReadonlyMap<string, NonNullable<Receipt['answer']>>
  readonly record: (event: TrialEvent) => void
  /** The message was handed over, or it could not be. */
  readonly handedOver: (failure?: HubError) => void
}

/**
 * Adapters and steps as a document names them, for a trial: steps work and are recorded, receivers are recorded and send
 * nothing, and senders hand over what is given. One that serves an endpoint is left as it is, since a trial can call it.
 */
export class RecordingDeclarations {
  readonly #recording: Recording
  readonly #places = new WeakMap<object, string>()
  readonly #known = new Set<string>()

  constructor(recording: Recording) {
    this.#recording = recording
  }

  of({ senders, receivers, steps }: Declarations): Declarations {
    return {
      senders: senders.map(each => this.#sender(each)),
      receivers: receivers.map(each => this.#receiver(each)),
      steps: steps.map(each => this.#step(each)),
    }
  }

  /** Learns where the steps of a flow stand. */
  learnPlaces(flow: LoadedFlow): void {
    this.#learn([flow.steps, flow.to])
  }

  #learn(value: unknown): void {
    if (Array.isArray(value)) for (const item of value) this.#learn(item)
    else if (isNode(value)) {
      const { config, path } = value
      if (typeof config === 'object' && config !== null) this.#places.set(config, path)
      this.#learn(config)
    } else if (isPlainObject(value)) for (const inner of Object.values(value)) this.#learn(inner)
  }

  /** A step inside another ends before it, so the message as it came is told first. */
  #taken(message: Message): void {
    if (this.#known.has(message.id)) return
    this.#known.add(message.id)
    this.#recording.record({ what: 'taken', message })
  }

  #placeOf(config: unknown): string | undefined {
    return typeof config === 'object' && config !== null ? this.#places.get(config) : undefined
  }

  #sender(declaration: SenderDeclaration): SenderDeclaration {
    const { given, handedOver } = this.#recording
    return {
      ...declaration,
      open: async context => {
        if (isEndpoint(context.config) && !declaration.sample) return declaration.open(context)
        return {
          async receive() {
            const { headers, body, type = 'text/plain' } = given
            const plain: Incoming = { headers, attributes: {}, type, body }
            await context.intake.accept(declaration.sample?.(context.config, body) ?? plain).then(
              () => handedOver(),
              thrown => handedOver(asHubError(thrown)),
            )
            await whenAborted(context.signal)
          },
          check: async () => ({ ok: true as const, detail: 'a trial' }),
          close: async () => {},
        }
      },
    }
  }

  #receiver(declaration: ReceiverDeclaration): ReceiverDeclaration {
    const { answers, record } = this.#recording
    const { id } = declaration
    const place = (config: unknown) => this.#placeOf(config)
    const taken = (message: Message) => this.#taken(message)
    return {
      ...declaration,
      open: async context => ({
        async deliver(message, effect) {
          const isAsked = declaration.answers && !isBelowTo(effect.key)
          taken(message)
          const written = place(context.config) ?? id
          const step = isAsked ? written.replace(/\.(?:to|from)$/, '') : written
          const config = await shownConfig(context.config, effect.scope)
          const answer = answers.get(step)
          record({ what: 'receiver', place: step, id, message, config, isAnswered: answer !== undefined })
          if (!answer && isAsked) throw trialErrors.ANSWER_MISSING({ place: step, id })
          return { summary: 'nothing was sent', ...(answer && { answer }) }
        },
        check: async () => ({ ok: true as const, detail: 'a trial' }),
        close: async () => {},
      }),
    }
  }

  #step(declaration: StepDeclaration): StepDeclaration {
    const { record } = this.#recording
    const { id } = declaration
    return {
      ...declaration,
      prepare: async context => {
        const prepared = await declaration.prepare(context)
        const place = this.#placeOf(context.config) ?? id
        return {
          run: async (message, run) => {
            this.#taken(message)
            try {
              const result = await prepared.run(message, run)
              record({ what: 'step', place, id, message, result })
              return result
            } catch (thrown) {
              record({ what: 'step', place, id, message, result: { error: asHubError(thrown) } })
              throw thrown
            }
          },
        }
      },
    }
  }
}

function isEndpoint(config: unknown): boolean {
  return isPlainObject(config) && typeof config['path'] === 'string'
}

/** True for a receiver that only takes (`0SAHP2QJ000/to[0] #1a2b3c4d`); a step wants to know what others answer. */
function isBelowTo(effectKey: string): boolean {
  return /[/.]to(?:\[\d+\])?(?: #[0-9a-f]{8})?$/.test(effectKey)
}
