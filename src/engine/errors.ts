import { defineErrors } from '../kernel/error.ts'

export const engineErrors = defineErrors('ENGINE', {
  QUEUE_FULL: {
    side: 'hub',
    retry: 'soon',
    means: 'Flow {flow} has {queued} deliveries waiting, its limit (queuedPerFlow).',
    next: 'Find out why they wait (isthmus flow show {flow}); the sender is asked to come back later, nothing is lost.',
  },
  HEADERS_TOO_LARGE: {
    side: 'sender',
    retry: 'never',
    means: 'Headers and attributes of the message are {bytes} bytes, above the limit of {bytesMax} (headerBytes).',
    next: 'Raise limits.headerBytes in isthmus.yaml if such messages are wanted.',
  },
  STEP_TIMEOUT: {
    side: 'hub',
    retry: 'soon',
    means: '{where} of flow {flow} took longer than {limit} (stepMs).',
    next: 'See what the other side does; raise limits.stepMs in isthmus.yaml if so much time is normal.',
  },
  ENDS_THE_HUB: {
    side: 'flow',
    retry: 'never',
    means: 'The hub died {deaths} times in a row while this message was under way; it is not begun again by itself.',
    next: 'See in the log of the system what ended the hub (most often its memory) and mend the step that does so with this message; then isthmus message replay. What the other side may have of it stands in the receipts.',
  },
  FLOW_UNKNOWN: {
    side: 'caller',
    retry: 'never',
    means: 'There is no running flow {flow}.',
    next: 'List the flows with isthmus flow list; start it with isthmus flow start {flow}.',
  },
  OUTCOME_UNKNOWN: {
    side: 'hub',
    retry: 'never',
    means: '{where} was interrupted after its point of no return; the other side may have the message already.',
    next: 'Look for the message on the other side. If it is not there: isthmus message replay; if it is: isthmus message skip.',
    isOutcomeUnknown: true,
  },
  NO_PROBE: {
    side: 'caller',
    retry: 'never',
    means: 'The sender of flow {flow} cannot send a probe.',
    next: 'Use expect.quiet for this flow instead.',
  },
  ANSWER_WAITS: {
    side: 'flow',
    retry: 'after-change',
    means: 'What flow {flow} has to answer waits, since flow {to} does not run.',
    next: 'Start it (isthmus flow start {to}), or correct answer.to; what waits there then goes out by itself.',
  },
  ENDED_BY_STEP: {
    side: 'flow',
    retry: 'never',
    means: '{where}: {reason}',
    next: 'Repair and replay it, or skip it.',
  },
})
