import type { ServiceUsers } from './model.ts'

export interface KeyWithAnEnd {
  readonly id: string
  readonly name: string
  /** Name of its instance. */
  readonly instance: string
  readonly expiresAt: number
  /** A rotation put another one in its place. */
  readonly isReplaced: boolean
  readonly lastUsedAt: number | undefined
}

/** Keys that end by themselves and were not revoked, of all instances, for the monitor. */
export function keysWithAnEnd(users: ServiceUsers): readonly KeyWithAnEnd[] {
  return users.listInstances().flatMap(({ id: instanceId, name: instance }) =>
    users.listKeys(instanceId).flatMap(({ id, name, expiresAt, revokedAt, replacedBy }) => {
      if (expiresAt === undefined || revokedAt !== undefined) return []
      const isReplaced = replacedBy !== undefined
      return [{ id, name, instance, expiresAt, isReplaced, lastUsedAt: users.lastUseOf(id)?.at }]
    }),
  )
}
