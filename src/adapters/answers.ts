import { z } from 'zod'
import { defineSender } from '../flow/adapter.ts'
import { whenAborted } from '../kernel/abort.ts'

export const answers = defineSender({
  id: 'answers',
  title: 'Answers of other flows',
  summary:
    'Takes what became of the messages of other flows (their answer key names this one), one message for each: attributes of the message it is about and outcome; the body is JSON with flow, message, state, at, summary, error and receipt.',
  config: z.strictObject({}),
  examples: [{ title: 'What became of messages', config: {} }],
  errors: {},
  // The engine brings them, in step with the ends that they tell of: there is nothing to watch here.
  open: async ({ signal }) => ({
    receive: () => whenAborted(signal),
    check: async () => ({ ok: true as const, detail: 'waits for answers of other flows' }),
    close: async () => {},
  }),
})
