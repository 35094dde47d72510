import { expect, test } from 'vitest'
import { asHubError, defineErrors, HubError, knownErrors } from './error.ts'

const errors = defineErrors('SAMPLE', {
  REFUSED: {
    side: 'receiver',
    retry: 'never',
    means: '{server} refused {count} mails.',
    next: 'Ask the owner of {server}.',
  },
  PLAIN: { side: 'hub', retry: 'soon', means: 'It failed.', next: 'Nothing.' },
})

test('an error carries code, side, class, its sentence and the next step', () => {
  const cause = new Error('550')
  const error = errors.REFUSED({ server: 's4', count: 2 }, { cause, retryAfterMs: 5 })
  expect(error).toMatchObject({
    code: 'SAMPLE_REFUSED',
    side: 'receiver',
    retry: 'never',
    message: 's4 refused 2 mails.',
    next: 'Ask the owner of s4.',
    retryAfterMs: 5,
    isOutcomeUnknown: false,
    cause,
  })
})

test('who knows better on which side it happened changes nothing else', () => {
  const cause = new Error('550')
  const error = errors.REFUSED({ server: '{count}', count: 2 }, { cause, retryAfterMs: 5, retry: 'soon' })
  const { code, message, next, retry, fields, retryAfterMs } = error
  const same = { code, message, next, retry, fields, retryAfterMs, cause }
  expect(error.onSide('sender')).toMatchObject({ ...same, side: 'sender' })
  expect(error.side).toBe('receiver')
})

test('one place may know the retry class better', () => {
  expect(errors.PLAIN({}, { retry: 'after-change' }).retry).toBe('after-change')
})

test('a value with braces is taken as it is', () => {
  expect(errors.REFUSED({ server: '{count}', count: 1 }).message).toBe('{count} refused 1 mails.')
})

test('what nobody foresaw becomes HUB_UNEXPECTED and keeps its cause', () => {
  const cause = new TypeError('x is undefined')
  expect(asHubError(cause)).toMatchObject({ code: 'HUB_UNEXPECTED', cause })
  const known = errors.PLAIN()
  expect(asHubError(known)).toBe(known)
  expect(asHubError('text')).toBeInstanceOf(HubError)
})

test('what is too deep or too large for JavaScript itself fails for good: it would fail each time', () => {
  const deep: unknown = JSON.parse('['.repeat(1_000_000) + ']'.repeat(1_000_000))
  for (const work of [() => JSON.stringify(deep), () => 'x'.repeat(2 ** 29), () => Buffer.alloc(2 ** 29).toString()]) {
    let thrown: unknown
    try {
      work()
    } catch (cause) {
      thrown = cause
    }
    expect(asHubError(thrown)).toMatchObject({ code: 'HUB_UNWORKABLE', retry: 'never', cause: thrown })
  }
  expect(asHubError(new RangeError('no such zone'))).toMatchObject({ code: 'HUB_UNEXPECTED' })
})

test('every declared code is known to the reference', () => {
  expect([...knownErrors().keys()]).toEqual(
    expect.arrayContaining(['SAMPLE_REFUSED', 'SAMPLE_PLAIN', 'HUB_UNEXPECTED']),
  )
})
