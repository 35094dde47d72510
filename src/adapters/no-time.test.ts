import { expect, test } from 'vitest'
import { builtInReceivers, builtInSenders } from './built-in.ts'

// How long one waits for an answer: of the other side, or of the flow.
const waiting = [...builtInSenders, ...builtInReceivers].flatMap(({ kind, id, config, examples }) =>
  ['timeout', 'within'].flatMap(key => {
    const withTime = (time: string) =>
      examples.map(example => config.safeParse({ ...Object(example.config), [key]: time })).at(0)
    return withTime('1s')?.success ? [{ kind, id, key, withTime }] : []
  }),
)

test('those that wait for an answer are looked at', () => {
  expect(waiting.map(({ kind, id, key }) => `${id} ${kind} ${key}`)).toEqual([
    'imap sender timeout',
    'https sender within',
    'idoc sender within',
    'soap sender within',
    'xi sender within',
    'http receiver timeout',
    'odata receiver timeout',
    'idoc receiver timeout',
    'soap receiver timeout',
    'xi receiver timeout',
    'dataverse receiver timeout',
  ])
})

test.each(waiting)('$id $kind: a $key of 0s is a mistake, and not a word for "never"', ({ withTime }) => {
  expect(withTime('0s')?.error?.message).toContain('longer than 0s, please')
})
