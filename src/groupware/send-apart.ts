import { asHubError, type HubError } from '../kernel/error.ts'

/**
 * Sends some together, and where something in them is why that is refused, each for itself. It is for those who send in
 * several requests: a failure that they throw lets the round write all once more, also what went before.
 */
export async function sendApart<T, R>(
  all: readonly T[],
  send: (some: readonly T[]) => Promise<readonly R[]>,
  isOfItem: (error: HubError) => boolean,
): Promise<readonly (R | HubError)[]> {
  try {
    return await send(all)
  } catch (thrown) {
    const error = asHubError(thrown)
    if (error.isOutcomeUnknown || !isOfItem(error)) throw thrown
    if (all.length === 1) return [error]
  }
  const answers: (R | HubError)[] = []
  for (const one of all) answers.push(...(await sendApart([one], send, isOfItem)))
  return answers
}
