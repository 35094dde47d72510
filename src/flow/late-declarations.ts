import type { ReceiverDeclaration, SenderDeclaration } from './adapter.ts'
import type { Declarations } from './schema.ts'
import type { StepDeclaration } from './step.ts'

/** Things by the key that names them in a document; each is loaded when it is asked for. */
type Loaders<D> = Readonly<Record<string, () => Promise<D>>>

export interface DeclarationLoaders {
  readonly senders: Loaders<SenderDeclaration>
  readonly receivers: Loaders<ReceiverDeclaration>
  readonly steps: Loaders<StepDeclaration>
}

/**
 * Adapters and steps that are loaded when a document names them: most hubs have flows of two or three kinds, and all the
 * others would cost each start a quarter of its time.
 */
export interface LateDeclarations {
  /** All that the text of a document can mean: those whose name stands in it, wherever that is. */
  namedIn(text: string): Promise<Declarations>
  all(): Promise<Declarations>
}

/** `more` are there already (a customer's adapters), and always among what is given. */
export function lateDeclarations(loaders: DeclarationLoaders, more?: Declarations): LateDeclarations {
  async function load(isWanted: (id: string) => boolean): Promise<Declarations> {
    const [senders, receivers, steps] = await Promise.all([
      loadAll(loaders.senders, isWanted),
      loadAll(loaders.receivers, isWanted),
      loadAll(loaders.steps, isWanted),
    ])
    return {
      senders: [...senders, ...(more?.senders ?? [])],
      receivers: [...receivers, ...(more?.receivers ?? [])],
      steps: [...steps, ...(more?.steps ?? [])],
    }
  }
  return {
    namedIn(text) {
      // The https of an address is not the sender.
      const words = new Set(text.match(/\b[a-z][a-z0-9-]*\b(?!:\/\/)/g))
      return load(id => words.has(id))
    },
    all: () => load(() => true),
  }
}

/** In the order of the table. */
export function loadAll<D>(loaders: Loaders<D>, isWanted = (_id: string) => true): Promise<readonly D[]> {
  const wanted = Object.entries(loaders).filter(([id]) => isWanted(id))
  return Promise.all(wanted.map(([, load]) => load()))
}
