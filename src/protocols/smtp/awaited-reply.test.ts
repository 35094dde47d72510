import { expect, test } from 'vitest'
import type { Clock } from '../../kernel/time.ts'
import { AwaitedReply, ReplyWatch } from './awaited-reply.ts'

/** Time passes when it is told to; what the clock says can be set apart from that. */
function steppable() {
  let passedMs = 0
  let shownMs = Date.UTC(2026, 0, 1)
  let timers: { readonly at: number; readonly act: () => void }[] = []
  const clock: Clock = {
    now: () => shownMs,
    sleep: () => Promise.resolve(),
    after(ms, act) {
      const timer = { at: passedMs + ms, act }
      timers.push(timer)
      return () => {
        timers = timers.filter(other => other !== timer)
      }
    },
  }
  return {
    clock,
    setBy: (ms: number) => {
      shownMs += ms
    },
    pass(ms: number) {
      const end = passedMs + ms
      for (;;) {
        const [next] = timers.toSorted((one, other) => one.at - other.at)
        if (!next || next.at > end) break
        shownMs += next.at - passedMs
        passedMs = next.at
        timers = timers.filter(other => other !== next)
        next.act()
      }
      shownMs += end - passedMs
      passedMs = end
    },
    timerCount: () => timers.length,
  }
}

function watched() {
  const time = steppable()
  const late: string[] = []
  const watch = new ReplyWatch(time.clock, ({ phase }) => late.push(phase))
  return { ...time, watch, late }
}

test('each reply has its own time, from when it is the first one', () => {
  const { watch, pass, late } = watched()
  for (const phase of ['a', 'b', 'c']) {
    watch.look(new AwaitedReply(phase, 1000))
    pass(900)
  }
  expect(late).toEqual([])
  pass(101)
  expect(late).toEqual(['c'])
})

test('a short time behind a long one is kept, and a long one behind a short one', () => {
  const { watch, pass, late } = watched()
  watch.look(new AwaitedReply('long', 10_000))
  pass(1)
  watch.look(new AwaitedReply('short', 100))
  pass(99)
  expect(late).toEqual([])
  watch.look(new AwaitedReply('long again', 10_000))
  pass(9_999)
  expect(late).toEqual([])
  pass(2)
  expect(late).toEqual(['long again'])
  watch.look(new AwaitedReply('long', 10_000))
  watch.look(new AwaitedReply('short', 100))
  pass(101)
  expect(late).toEqual(['long again', 'short'])
})

test('a reply without a limit waits, until it gets one', () => {
  const { watch, pass, late } = watched()
  const final = new AwaitedReply('final', undefined)
  watch.look(new AwaitedReply('data', 100))
  watch.look(final)
  pass(100_000)
  expect(late).toEqual([])
  final.timeoutMs = 50
  watch.look(final)
  pass(51)
  expect(late).toEqual(['final'])
})

test.each([3_600_000, -3_600_000])('a clock that is set by %i ms ends nothing and prolongs nothing', stepMs => {
  const { watch, setBy, pass, late } = watched()
  watch.look(new AwaitedReply('mail', 1000))
  pass(500)
  watch.look(new AwaitedReply('final', 600_000))
  setBy(stepMs)
  pass(599_999)
  expect(late).toEqual([])
  pass(2)
  expect(late).toEqual(['final'])
  setBy(stepMs)
  watch.look(new AwaitedReply('next', 200))
  pass(201)
  expect(late).toEqual(['final', 'next'])
})

test('many mails cost few timers, and none is left at the end', () => {
  const { watch, pass, timerCount } = watched()
  let most = 0
  for (let mail = 0; mail < 1000; mail++) {
    for (const ms of [300, 300, 120, 600]) watch.look(new AwaitedReply('x', ms * 1000))
    pass(5)
    most = Math.max(most, timerCount())
  }
  expect(most).toBe(1)
  watch.end()
  expect(timerCount()).toBe(0)
})
