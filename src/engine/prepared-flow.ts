import type { Receiver, ReceiverContext } from '../flow/adapter.ts'
import type { LoadedFlow, ReceiverNode, StepNode } from '../flow/document.ts'
import type { Block, OpenReceiver, PreparedStep, StepContext } from '../flow/step.ts'
import type { Limits } from '../kernel/limit.ts'
import type { Log } from '../kernel/log.ts'

/** Steps and receivers of one level of a flow, opened and ready to run. */
export interface PreparedBlock {
  readonly name: string
  readonly steps: readonly PreparedStep[]
  /** What a step calls itself in logs: `filter`. */
  readonly stepIds: readonly string[]
  readonly to: readonly PreparedReceiver[]
}

export interface PreparedReceiver {
  readonly name: string
  /** Where it stands in the document; the name of its link in health. */
  readonly link: string
  /** The same for the same adapter with the same configuration. */
  readonly fingerprint: string
  readonly receiver: Receiver
}

export interface PreparedFlow {
  readonly flow: LoadedFlow
  readonly top: PreparedBlock
  /** Every receiver of the flow, also those inside steps. */
  readonly receivers: readonly PreparedReceiver[]
  close(): Promise<void>
}

export interface PrepareOptions {
  readonly flow: LoadedFlow
  readonly log: Log
  readonly limits: Limits
  /** The context of a receiver, without its configuration. */
  readonly receiverContext: Omit<ReceiverContext<unknown>, 'config'>
}

/** Opens all receivers and prepares all steps of a flow; when one fails the others are closed again. */
export async function prepareFlow(options: PrepareOptions): Promise<PreparedFlow> {
  const { flow, log, limits } = options
  const receivers: PreparedReceiver[] = []
  const close = async () => {
    await Promise.allSettled(receivers.map(({ receiver }) => receiver.close()))
  }

  async function openReceiver(name: string, node: ReceiverNode): Promise<PreparedReceiver> {
    const receiver = await node.declaration.open({ ...options.receiverContext, config: node.config })
    const fingerprint = `${node.declaration.id} ${JSON.stringify(node.config)}`
    const prepared = { name, link: node.path, fingerprint, receiver }
    receivers.push(prepared)
    return prepared
  }

  async function prepareBlock(
    name: string,
    steps: readonly StepNode[],
    to: readonly ReceiverNode[],
  ): Promise<PreparedBlock> {
    const prepared: PreparedStep[] = []
    for (const step of steps) prepared.push(await prepareStep(step))
    const opened: PreparedReceiver[] = []
    for (const [index, node] of to.entries()) opened.push(await openReceiver(`to[${index}]`, node))
    return { name, steps: prepared, stepIds: steps.map(step => step.declaration.id), to: opened }
  }

  async function prepareStep(node: StepNode): Promise<PreparedStep> {
    const context: StepContext<unknown> = {
      config: node.config,
      flow: flow.name,
      folder: flow.folder,
      log: log.with({ step: node.path }),
      limits,
      block: async (name, steps, to = []) => (await prepareBlock(name, steps, to)) as unknown as Block,
      receiver: async (name, receiver) => (await openReceiver(name, receiver)) as unknown as OpenReceiver,
    }
    return node.declaration.prepare(context)
  }

  try {
    const top = await prepareBlock('', flow.steps, flow.to)
    return { flow, top, receivers, close }
  } catch (error) {
    await close()
    throw error
  }
}
