import { defineErrors } from '../../kernel/error.ts'

/** What goes wrong on the connector's side. `purpose`, `virtualHost` and `target` are host:port or words of the hub. */
export const connectorErrors = defineErrors('CONNECTOR', {
  NOT_ALLOWED: {
    side: 'receiver',
    retry: 'after-change',
    means: 'The connector does not list {virtualHost}.',
    next: 'Add it under virtual-hosts in connector.yaml on the connector, if the hub is to reach it.',
  },
  TOO_MANY_STREAMS: {
    side: 'receiver',
    retry: 'soon',
    means: '{scope} carries {streamsMax} streams already.',
    next: 'Nothing; it is tried again. If it stays so, raise {limit} in connector.yaml.',
  },
  TARGETS_FULL: {
    side: 'receiver',
    retry: 'soon',
    means: 'Every target of {virtualHost} has as many connections as it may have.',
    next: 'Nothing; it is tried again. If it stays so, raise connections-max of the targets in connector.yaml.',
  },
  NO_TARGET: {
    side: 'receiver',
    retry: 'soon',
    means: 'No target of {virtualHost} took the connection: {text}',
    next: 'Look at the targets with isthmus-connector check {virtualHost} on the connector.',
  },
  NONE_HEALTHY: {
    side: 'receiver',
    retry: 'soon',
    means: 'Every target of {virtualHost} is down, ejected or drained: {text}',
    next: 'Look at the targets with isthmus-connector check {virtualHost} on the connector.',
  },
  TARGET_UNKNOWN: {
    side: 'caller',
    retry: 'never',
    means: 'The virtual host {virtualHost} has no target {target}.',
    next: 'Take one of the targets that the status of the connector shows.',
  },
  STOPPING: {
    side: 'receiver',
    retry: 'soon',
    means: 'The connector is stopping.',
    next: 'Nothing; another connector of the location takes over, or this one after its start.',
  },
})
