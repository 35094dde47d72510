import { defineErrors } from '../../kernel/error.ts'

/** What goes wrong on the connector's side; the ones about streams travel to the hub as code and sentence. */
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
  CONFIG_WRONG: {
    side: 'caller',
    retry: 'after-change',
    means: 'The configuration of the connector is wrong. {text}',
    next: 'Correct the named place; docs/reference/connector-config.md lists every key.',
  },
  CONFIG_UNREADABLE: {
    side: 'caller',
    retry: 'after-change',
    means: '{file} cannot be read: {text}',
    next: 'Name the file with --config, and let the connector read it.',
  },
  TOKEN_WRONG: {
    side: 'caller',
    retry: 'never',
    means: 'This is no enrolment token: {text}',
    next: 'Take the whole line that isthmus connector enrol printed; it begins with isthmus-enrol.',
  },
  HUB_UNREACHABLE: {
    side: 'hub',
    retry: 'soon',
    means: 'The hub at {node} does not answer: {text}',
    next: 'Check the address, that the hub runs, and that the firewall lets this machine out to it.',
  },
  HUB_NOT_TRUSTED: {
    side: 'hub',
    retry: 'after-change',
    means: 'What answers at {node} is not the hub: {text}',
    next: 'Check the address. A firewall that opens TLS must leave this connection alone; if the authority of the hub is new, enrol again.',
  },
  CLOCKS_DIFFER: {
    side: 'hub',
    retry: 'after-change',
    means: 'The certificate of the hub at {node} {text} by the clock of this machine, which says {now}.',
    next: 'Set the clock of this machine right, and its time zone, or the clock of the hub: it makes its certificate at each start.',
  },
  CERTIFICATE_REFUSED: {
    side: 'hub',
    retry: 'after-change',
    means: 'The hub at {node} does not take the certificate of this connector: {text}',
    next: 'If it was revoked or has ended, enrol again with a new token (isthmus connector enrol on the hub).',
  },
  HUB_REFUSED: {
    side: 'hub',
    retry: 'after-change',
    means: 'The hub refused: {text}',
    next: '{step}',
  },
  ANSWER_WRONG: {
    side: 'hub',
    retry: 'after-change',
    means: 'The answer of the hub at {node} cannot be used: {text}',
    next: 'Check that hub and connector are of versions that fit each other.',
  },
  QUESTION_WRONG: {
    side: 'hub',
    retry: 'after-change',
    means: 'The connector cannot answer the question of the hub. {text}',
    next: 'Check that hub and connector are of versions that fit each other.',
  },
  NOT_ENROLLED: {
    side: 'caller',
    retry: 'after-change',
    means: 'This connector is not enrolled: {file} is not there.',
    next: 'Get a token with isthmus connector enrol on the hub, and run isthmus-connector enrol.',
  },
  ALREADY_ENROLLED: {
    side: 'caller',
    retry: 'never',
    means: 'This connector is enrolled already, as {connector} of {location}.',
    next: 'Give --again to replace its certificate.',
  },
  IDENTITY_UNREADABLE: {
    side: 'caller',
    retry: 'after-change',
    means: 'The identity of the connector in {file} cannot be used: {text}',
    next: 'Give the user of the connector the right to read it, restore it, or enrol again.',
  },
  ALREADY_RUNNING: {
    side: 'caller',
    retry: 'never',
    means: 'A connector runs already with the data folder {folder}.',
    next: 'Stop it first, or give this one a data folder of its own.',
  },
  NOT_RUNNING: {
    side: 'caller',
    retry: 'soon',
    means: 'No connector runs with the data folder {folder}: {text}',
    next: 'Start it with isthmus-connector run.',
  },
  AUDIT_UNWRITABLE: {
    side: 'hub',
    retry: 'after-change',
    means: 'The audit log of the connector cannot be written: {text}',
    next: 'Look whether the disk is full and whether the folder audit belongs to the user of the connector.',
  },
  TUNNEL_LOST: {
    side: 'hub',
    retry: 'soon',
    means: 'The tunnel to {node} was lost: {text}',
    next: 'Nothing, it is opened again; if it goes on, look at the firewalls between.',
  },
})
