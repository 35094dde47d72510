import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { builtInSteps } from '../steps/built-in.ts'
import { adapters, flowFolder } from './flow-world.ts'
import { type LoadResult, loadFlow } from './load-flow.ts'
import { formatProblems, type Problem } from './problem.ts'

async function load(
  files: Readonly<Record<string, string>>,
  params?: Readonly<Record<string, unknown>>,
): Promise<LoadResult> {
  const { folder, remove } = await flowFolder(files)
  try {
    const file = path.join(folder, 'flow.yaml')
    return await loadFlow({ file, stage: 'dev', ...adapters, steps: builtInSteps, ...(params && { params }) })
  } finally {
    await remove()
  }
}

const good = `flow: mail-in
about: Hands mail over.
owner: order-to-cash
params:
  address: { type: email }
  waits: { type: duration, default: 4h }
  port: { type: port, default: 993 }
from:
  mailbox:
    host: outlook.office365.com
    port: \${params.port}
    user: \${params.address}
    auth: m365-mail
    done: { move: Processed, failed: Failed }
expect: { quiet: "\${params.waits}", probe: { every: 15m } }
steps:
  - filter: { keep: size(message.to) > 0, otherwise: set-aside }
  - choose:
      - when: message.size > 30 * 1024 * 1024
        reject: Too large for \${params.address}
      - when: message.to.exists(a, a.endsWith('@de.contoso.com'))
        steps:
          - map: { set: { headers: { x-region: de } } }
        to: { server: { host: s4-de.virtual } }
  - split: { each: message.body.lines, steps: [{ filter: { keep: 'true' } }] }
  - gather
to:
  - server: { via: dc-frankfurt, host: s4-smtp.virtual, recipients: "in-\${params.address}" }
delivery:
  once-by: message.headers['message-id']
  retry: { every: 1m, up-to: 1h, for: 2d }
`

test('a document becomes a flow with its parameters filled in', async () => {
  const result = await load({ 'flow.yaml': good, 'params/dev.yaml': 'address: orders@contoso.com\n' })
  if (!('flow' in result)) throw new Error(JSON.stringify(result.problems, null, 2))
  const { flow, warnings } = result
  expect(warnings).toEqual([])
  expect(flow).toMatchObject({
    name: 'mail-in',
    about: 'Hands mail over.',
    owner: 'order-to-cash',
    stage: 'dev',
    params: { address: 'orders@contoso.com', waits: '4h', port: 993 },
    delivery: { whenSetAside: 'hold', retry: { everyMs: 60_000, upToMs: 3_600_000, forMs: 172_800_000 }, parallel: 48 },
    keep: { deliveredMs: 30 * 86_400_000, setAsideMs: 90 * 86_400_000 },
    expect: { quietMs: 14_400_000, probe: { everyMs: 900_000, withinMs: 600_000 } },
    alert: [],
    from: { declaration: { id: 'mailbox' }, config: { port: 993, user: 'orders@contoso.com', unread: true } },
  })
  expect(flow.delivery.onceBy?.text).toBe("message.headers['message-id']")
  expect(flow.delivery.orderBy).toBeUndefined()
  expect(flow.revision).toMatch(/^[0-9a-f]{12}$/)
  expect(flow.steps.map(step => [step.path, step.declaration.id])).toEqual([
    ['steps[0]', 'filter'],
    ['steps[1]', 'choose'],
    ['steps[2]', 'split'],
    ['steps[3]', 'gather'],
  ])
  const branches = flow.steps[1]?.config as undefined | readonly { steps: { path: string }[]; to: { path: string } }[]
  const branch = branches?.[1]
  expect([branch?.steps[0]?.path, branch?.to.path]).toEqual(['steps[1].choose[1].steps[0]', 'steps[1].choose[1].to'])
  expect(flow.to.map(node => [node.path, (node.config as { recipients: { text: string } }).recipients.text])).toEqual([
    ['to[0]', 'in-orders@contoso.com'],
  ])
})

test('one receiver is a list of one, and the smallest flow has careful defaults', async () => {
  const text = 'flow: tiny\nfrom: { schedule: { every: 1h } }\nto: { server: { host: a } }\n'
  const result = await load({ 'flow.yaml': text })
  expect('flow' in result && result.flow).toMatchObject({
    to: [{ path: 'to[0]', config: { host: 'a', port: 25 } }],
    steps: [],
    delivery: { onceBy: undefined, whenSetAside: 'hold' },
    expect: { quietMs: undefined, probe: undefined },
  })
})

test('a change of a parameter is a change of the flow', async () => {
  const files = { 'flow.yaml': good, 'params/dev.yaml': 'address: orders@contoso.com\n' }
  const revision = (result: LoadResult) => ('flow' in result ? result.flow.revision : undefined)
  const first = revision(await load(files))
  expect(revision(await load(files))).toBe(first)
  expect(revision(await load(files, { waits: '5h' }))).not.toBe(first)
})

test('so is a change of a file that it names, also inside other steps, and of what a module imports', async () => {
  const files = {
    'flow.yaml': step(
      "  - choose:\n      - { when: 'true', steps: [{ map: { module: './map.ts' } }], to: { server: { host: a } } }",
    ),
    'map.ts': "import { rate } from './rates.ts'\nexport default () => rate",
    'rates.ts': 'export const rate = 1',
    'other.ts': 'export const other = 1',
  }
  const revision = async (changed: Readonly<Record<string, string>> = {}) => {
    const result = await load({ ...files, ...changed })
    return 'flow' in result ? result.flow.revision : result.problems
  }
  const first = await revision()
  expect(first).toMatch(/^[0-9a-f]{12}$/)
  expect(await revision({ 'other.ts': '' })).toBe(first)
  expect(await revision({ 'map.ts': 'export default () => 1' })).not.toBe(first)
  expect(await revision({ 'rates.ts': 'export const rate = 2' })).not.toBe(first)
})

const base = 'flow: f\nfrom: { schedule: { every: 1h } }\nto: { server: { host: a } }\n'
const step = (text: string) =>
  `flow: f\nfrom: { schedule: { every: 1h } }\nsteps:\n${text}\nto: { server: { host: a } }\n`
const box = (text: string) =>
  `flow: f\nfrom:\n  mailbox:\n    host: h\n    user: u\n    auth: a\n${text}\nto: { server: { host: a } }\n`

// The triangle shows where the problem must be; it is not part of the document.
const mistakes: readonly [title: string, document: string, sentence: RegExp, stage?: string][] = [
  ['nothing at all', '▶', /empty, or not a group of keys/],
  ['a list', '▶- a\n- b\n', /not a group of keys/],
  [
    'a bracket in an expression between braces',
    "flow: f\nsteps:\n  - filter: { keep: message.headers▶['x'] == 'y', otherwise: drop }\nto: []\n",
    /A bracket stands in a text without quotes\. .*double quotes/,
  ],
  ['a tab', 'flow: f\nfrom:\n▶\tschedule:\n', /tab stands in the indentation/i],
  ['a key twice', `${base}▶flow: g\n`, /stands here twice/],
  ['a quote that is not closed', "flow: ▶'f\nfrom: 1\n", /quote is not closed/],
  [
    'a bracket that is not closed',
    'flow: f\nfrom: { schedule: { every: 1h }\n▶to: x\n',
    /bracket above this line is not closed/,
  ],
  ['a tag', `flow: ▶!!js/function 'x'\n`, /Tags/],
  ['an alias without anchor', 'flow: ▶*nope\n', /no anchor/],
  ['an alias in what it names', `${base}params: &all { a: ▶*all }\n`, /stands in the very value that it names.*Write/],
  ['brackets without an end', `▶${base}about: ${'['.repeat(5_000)}`, /nested too deeply/],
  ['a line that is indented too far', 'flow: f\n ▶about: x\nfrom: 1\n', /indentation does not fit the lines above/],
  [
    'a key that is indented too far',
    'flow: f\nfrom:\n  schedule:\n    every: 1h\n     ▶at: x\n',
    /indentation does not fit the lines above/,
  ],
  ['two keys on one line', 'flow: f\nabout: ▶from: x\n', /nested key cannot stand on the same line/],
  [
    'a merge key where any key may stand',
    `${base}steps: [{ map: { set: { body: { ▶<<: { a: 1 } } } } }]\n`,
    /Merge keys.*Write the keys out/,
  ],
  [
    'a reference in the place of a declaration',
    'flow: f\nparams:\n  a: ▶${params.b}\nfrom: { schedule: { every: 1h } }\nto: { server: { host: "${params.a}" } }\n',
    /a must be a group of keys/,
  ],
  [
    'a parameter whose value does not fit where it stands',
    'flow: f\nparams: { a: { type: text, default: b } }\nfrom: { schedule: { every: ▶"${params.a}" } }\nto: { server: { host: a } }\n',
    /"b" does not fit every/,
  ],
  ['two documents', `${base}▶---\nflow: g\n`, /one document/],
  ['an unknown key', `${base}▶step: []\n`, /A flow has no key "step".*Did you mean steps\?/],
  ['another unknown key', `${base}▶colour: red\n`, /no key "colour".*It has flow, about/],
  [
    'no name',
    '▶from: { schedule: { every: 1h } }\nto: { server: { host: a } }\n',
    /The flow needs flow\..*For example flow: mail-o365-to-s4/,
  ],
  [
    'a name with capitals',
    'flow: ▶Mail In\nfrom: { schedule: { every: 1h } }\nto: { server: { host: a } }\n',
    /"Mail In" does not fit flow.*small letters/,
  ],
  ['no sender', '▶flow: f\nto: { server: { host: a } }\n', /sender is missing/],
  ['a sender without anything', 'flow: f\n▶from:\nto: { server: { host: a } }\n', /sender is missing here.*mailbox/],
  [
    'a misspelt sender',
    'flow: f\nfrom: { ▶mialbox: {} }\nto: { server: { host: a } }\n',
    /no sender "mialbox".*Did you mean mailbox\?/,
  ],
  [
    'a receiver as sender',
    'flow: f\nfrom: { ▶server: {} }\nto: { server: { host: a } }\n',
    /no sender "server".*senders are mailbox and schedule/,
  ],
  [
    'two senders',
    'flow: f\nfrom:\n  schedule: { every: 1h }\n  ▶mailbox: {}\nto: { server: { host: a } }\n',
    /Only one key.*Remove one/,
  ],
  [
    'a setting beside the key',
    'flow: f\nfrom:\n  schedule: { every: 1h }\n  ▶every: 1h\nto: { server: { host: a } }\n',
    /Only one key.*indent it below schedule/,
  ],
  [
    'a missing setting',
    'flow: f\nfrom:\n  ▶mailbox: { user: u, auth: a }\nto: { server: { host: a } }\n',
    /mailbox needs host\..*Name of the mail server.*outlook/,
  ],
  [
    'a setting without value',
    'flow: f\nfrom:\n  mailbox:\n    ▶host:\n    user: u\n    auth: a\nto: { server: { host: a } }\n',
    /host has no value/,
  ],
  ['an unknown setting', box('    ▶pol: 1m'), /mailbox has no key "pol".*Did you mean poll\?/],
  [
    'an unknown setting further in',
    box('    done: { move: a, failed: b, ▶moved: c }'),
    /done has no key "moved".*Did you mean move\?/,
  ],
  ['a missing setting further in', box('    ▶done: { move: a }'), /done needs failed/],
  ['a wrong word for a choice', box('    order: ▶newst'), /order cannot be "newst".*Did you mean newest\?/],
  ['a text for a number', box('    port: ▶abc'), /port must be a number, and "abc" is text/],
  ['a port out of range', box('    port: ▶70000'), /port must be 65535 or less/],
  [
    'a number for a text',
    'flow: f\nfrom:\n  mailbox: { host: h, user: ▶12345, auth: a }\nto: { server: { host: a } }\n',
    /user must be text.*quotes: '12345'/,
  ],
  ['a word for yes or no', box('    unread: ▶yes'), /unread must be true or false/],
  ['a bad duration', box('    poll: ▶5 minutes'), /"5 minutes" does not fit poll.*a number and a unit/],
  ['a duration without unit', box('    poll: ▶60'), /poll must be text.*'60'/],
  ['a bad size', box('    mail-size: ▶50 mebi'), /does not fit mail-size.*512B/],
  [
    'a host with a scheme',
    'flow: f\nfrom:\n  mailbox: { host: ▶"https://x/y", user: u, auth: a }\nto: { server: { host: a } }\n',
    /does not fit host.*without scheme/,
  ],
  ['a list for a text', box('    mail-size: ▶[1, 2]'), /mail-size must be text, and a list/],
  ['no receiver', '▶flow: f\nfrom: { schedule: { every: 1h } }\n', /needs to: it does not say where/],
  [
    'a misspelt receiver in a list',
    'flow: f\nfrom: { schedule: { every: 1h } }\nto:\n  - server: { host: a }\n  - ▶sevrer: { host: a }\n',
    /no receiver "sevrer".*server\?/,
  ],
  [
    'a bad setting of a receiver in a list',
    'flow: f\nfrom: { schedule: { every: 1h } }\nto:\n  - server: { host: a, port: ▶0 }\n',
    /port must be 1 or more/,
  ],
  ['steps that are no list', step('  ▶filter: { keep: "true" }'), /steps must be a list/],
  ['a misspelt step', step('  - ▶filtre: { keep: "true" }'), /no step "filtre".*filter\?/],
  ['a filter without condition', step('  - ▶filter: { otherwise: drop }'), /filter needs keep/],
  [
    'a wrong otherwise',
    step('  - filter: { keep: "true", otherwise: ▶throw }'),
    /otherwise cannot be "throw".*set-aside, reject and drop/,
  ],
  [
    'an expression with an unknown name',
    step('  - filter: { keep: size(▶mesage.to) > 0 }'),
    /does not know the name "mesage".*message\?/,
  ],
  [
    'an expression in quotes',
    step(`  - filter: { keep: "message.from == \\"x\\" && ▶sbject == 'a'" }`),
    /does not know the name "sbject"/,
  ],
  [
    'an expression over lines',
    step('  - filter:\n      keep: >-\n        message.size > 1\n        && message.▶sise < 2'),
    /no "sise".*message\.size/,
  ],
  [
    'an expression in a block',
    step('  - filter:\n      keep: |\n        message.size > 1 &&\n          ▶sise < 2'),
    /name "sise"/,
  ],
  ['an expression that ends early', step('  - filter: { keep: message.size ▶> }'), /ends too early/],
  [
    'an unknown function',
    step('  - filter: { keep: "message.from.▶endWith(\'x\')" }'),
    /no function "endWith".*endsWith/,
  ],
  [
    'an unknown parameter in an expression',
    `${step('  - filter: { keep: message.size > params.▶limt }')}params: { limit: { type: number, default: 1 } }\n`,
    /params has no "limt".*params\.limit/,
  ],
  ['a bad template', step('  - filter: { keep: "true", reason: "from ${▶mesage.from}" }'), /name "mesage"/],
  ['a template that is not closed', step('  - filter: { keep: "true", reason: "from ▶${message.from" }'), /not closed/],
  [
    'a bad template in a list of recipients',
    'flow: f\nfrom: { schedule: { every: 1h } }\nto: { server: { host: a, recipients: [a@b.c, "${▶x.y}"] } }\n',
    /name "x"/,
  ],
  ['gather without split', step('  - filter: { keep: "true" }\n  - ▶gather: {}'), /gather needs a split before it/],
  [
    'gather behind a split of another list',
    step('  - split: { each: lines, steps: [{ ▶gather: {} }] }'),
    /gather needs a split/,
  ],
  ['a branch without condition', step('  - choose:\n      - ▶to: { server: { host: a } }'), /branch needs when/],
  ['a branch that does nothing', step('  - choose:\n      - ▶when: "true"'), /This branch does nothing/],
  [
    'a branch with two ends',
    step('  - choose:\n      - when: "true"\n        drop: x\n        ▶to: { server: { host: a } }'),
    /ends in one way.*drop and to/,
  ],
  [
    'otherwise in the middle',
    step('  - choose:\n      - ▶otherwise: { drop: x }\n      - when: "true"\n        drop: y'),
    /otherwise is not the last branch/,
  ],
  [
    'otherwise beside when',
    step('  - choose:\n      - when: "true"\n        drop: x\n        ▶otherwise: { drop: x }'),
    /when or otherwise, not both/,
  ],
  [
    'a mistake deep inside',
    step(
      '  - choose:\n      - when: "true"\n        steps:\n          - split:\n              each: message.body\n              steps:\n                - filter: { keep: ▶siz(message.to) > 0 }',
    ),
    /no function "siz"/,
  ],
  [
    'an attribute with a taken name',
    step('  - map: { set: { attributes: { ▶body: x } } }'),
    /"body" cannot be a name here|belongs to a part/,
  ],
  ['a map without anything', step('  - ▶map: {}'), /map needs set, module or spec/],
  ['a map with both', step('  - map: { set: {}, ▶module: ./map.ts }'), /set and module/],
  ['a module that is not there', step('  - map: { module: ▶./nope.ts }'), /no file \.\/nope\.ts/],
  ['a schema that is not there', step('  - validate: { schema: ▶./nope.json }'), /JSON Schema .* cannot be used/],
  ['a validate without rules', step('  - validate: { rules: ▶[] }'), /rules needs at least one entry/],
  ['two conversions at once', step('  - convert: { decode: gzip, ▶csv: to-json }'), /does one thing/],
  ['a charset nobody knows', step('  - convert: { charset: ▶klingon }'), /charset is not known/],
  ['a call to one who never answers', step('  - call: { ▶to: { server: { host: a } } }'), /server gives no answer/],
  ['once-by the same for all', `${base}delivery: { once-by: ▶flow.name }\n`, /once-by is the same for every message/],
  [
    'a longest wait below the first',
    `${base}delivery:\n  retry: { every: 2h, up-to: ▶1h }\n`,
    /up-to, 1h\) is shorter/,
  ],
  ['a longest default wait below the first', `${base}delivery:\n  retry: { every: ▶2h }\n`, /up-to, 1h\) is shorter/],
  ['a retry without a wait', `${base}delivery:\n  retry: { every: ▶0s, up-to: 0s }\n`, /longer than 0s, please/],
  ['an unknown key of retry', `${base}delivery:\n  retry: { ▶upto: 1h }\n`, /retry has no key "upto".*up-to\?/],
  [
    'a probe that overtakes itself',
    `${base}expect: { probe: { every: 5m, within: ▶10m } }\n`,
    /before the last one is due/,
  ],
  ['a probe without a pause', `${base}expect: { probe: ▶0s }\n`, /longer than 0s, please/],
  ['probes without a pause', `${base}expect: { probe: { every: ▶0s } }\n`, /longer than 0s, please/],
  ['a probe without time', `${base}expect: { probe: { every: 5m, within: ▶0s } }\n`, /longer than 0s, please/],
  ['no quiet at all', `${base}expect: { quiet: ▶0s }\n`, /longer than 0s, please/],
  ['a probe that is no duration', `${base}expect: { probe: ▶often }\n`, /"often" does not fit probe/],
  [
    'a comma in a text',
    `${base}params: { a: { type: text, default: b, about: this, ▶or that } }\n`,
    /no key "or that".*put the text in quotes/,
  ],
  ['an unknown type of parameter', `${base}params: { a: { type: ▶mail } }\n`, /type cannot be "mail".*email/],
  [
    'a reference to no parameter',
    'flow: f\nfrom: { schedule: { every: "${params.▶evry}" } }\nto: { server: { host: a } }\nparams: { every: { type: duration, default: 1h } }\n',
    /declares no parameter "evry".*every\?/,
  ],
  [
    'a parameter without value',
    `${base}params:\n  ▶address: { type: email }\n`,
    /address has no value for the stage dev.*params\/dev\.yaml/,
  ],
  [
    'a default of the wrong type',
    `${base}params:\n  wait: { type: duration, default: ▶soon }\n`,
    /"soon" does not fit the parameter wait.*duration/,
  ],
]

test.each(mistakes)('%s', async (_title, marked, sentence) => {
  const at = marked.indexOf('▶')
  const before = marked.slice(0, at).split('\n')
  const result = await load({ 'flow.yaml': marked.replace('▶', '') })
  expect('problems' in result).toBe(true)
  const problems = 'problems' in result ? result.problems : []
  const errors = problems.filter(problem => problem.severity === 'error')
  const [first] = errors
  expect(`${first?.message} ${first?.next ?? ''}`).toMatch(sentence)
  expect([first?.line, first?.column]).toEqual([before.length, (before.at(-1)?.length ?? 0) + 1])
  expect(errors).toHaveLength(1)
})

test('flows of one folder share values; a flow takes those that it declares, and its own win', async () => {
  const document = `${base}params: { host: { type: host }, set: { type: text, default: none }, name: { type: text } }
`
  const result = await load({
    'flow.yaml': document,
    'globals/dev.yaml': 'host: crm.example\nname: shared\nother: 4\n',
    'params/dev.yaml': 'name: own\n',
  })
  expect('flow' in result && result.flow.params).toEqual({ host: 'crm.example', set: 'none', name: 'own' })
  const wrong = await load({ 'flow.yaml': document, 'globals/dev.yaml': 'host: crm.example\nname: 7\n' })
  const [problem] = ('problems' in wrong ? wrong.problems : []).filter(({ severity }) => severity === 'error')
  expect([problem?.file.endsWith('globals/dev.yaml'), problem?.line, problem?.column]).toEqual([true, 2, 7])
})

const inStage: readonly [title: string, stage: string, sentence: RegExp][] = [
  ['an unknown parameter', 'wait: 1h\n▶wiat: 2h\n', /declares no parameter "wiat".*wait\?/],
  [
    'a value of the wrong type',
    'wait: ▶often\n',
    /"often" does not fit the parameter wait\..*\bA duration is a number and a unit/,
  ],
  ['a host with a scheme', 'wait: 1h\nbox: ▶https://x/y\n', /does not fit the parameter box\..*\bA host is a name/],
  ['a value that is no choice', 'wait: 1h\nkind: ▶huge\n', /"huge" does not fit the parameter kind.*small and large/],
  ['a value with a template', 'wait: 1h\nname: ▶"a${b}"\n', /must not contain/],
  ['no value', '▶wait:\n', /wait has no value/],
  ['bad YAML', 'wait: ▶*nope\n', /no anchor/],
  ['a list', '▶- wait\n', /names and values/],
]

test.each(inStage)('in a parameter file: %s', async (_title, marked, sentence) => {
  const document = `${base}params:
  wait: { type: duration, default: 5m }
  kind: { type: choice, of: [small, large], default: small }
  name: { type: text, default: a }
  box: { type: host, default: a.example }
`
  const at = marked.indexOf('▶')
  const before = marked.slice(0, at).split('\n')
  const result = await load({ 'flow.yaml': document, 'params/dev.yaml': marked.replace('▶', '') })
  const errors = ('problems' in result ? result.problems : []).filter(problem => problem.severity === 'error')
  expect(`${errors[0]?.message} ${errors[0]?.next ?? ''}`).toMatch(sentence)
  expect(errors[0]?.file).toMatch(/params\/dev\.yaml$/)
  expect([errors[0]?.line, errors[0]?.column]).toEqual([before.length, (before.at(-1)?.length ?? 0) + 1])
  expect(errors).toHaveLength(1)
})

test.each<[string, string, RegExp]>([
  [
    'a parameter that nothing uses',
    `${base}params:\n  ▶a: { type: text, default: b }\n`,
    /Nothing uses the parameter a/,
  ],
  [
    'a text in which nothing is filled in',
    'flow: f\nfrom: { mailbox: { host: h, user: ▶"${param.user}", auth: a } }\nto: { server: { host: a, recipients: "${message.from}" } }\n',
    /user takes plain text/,
  ],
  ['an order that is one queue', `${base}delivery: { order-by: ▶"'all'" }\n`, /one after the other/],
  [
    'a queue at the other side that nothing keeps in order here',
    'flow: f\nfrom: { mailbox: { host: h, user: u, auth: a } }\nsteps:\n  - choose:\n      - { when: "true", to: { server: { host: a, ▶queue: Q } } }\n      - otherwise: { drop: b }\n',
    /can overtake each other/,
  ],
  ['a probe every few seconds', `${base}expect: { probe: ▶10s }\n`, /load of its own/],
  [
    'keys that are forgotten at once',
    `${base}delivery: { once-by: message.id }\nkeep: { delivered: ▶1h }\n`,
    /remembers messages only as long/,
  ],
  [
    'a step behind the end',
    step(
      '  - choose:\n      - { when: "true", drop: a }\n      - otherwise: { drop: b }\n  - ▶filter: { keep: "true" }',
    ),
    /No message reaches this step/,
  ],
])('a warning: %s', async (_title, marked, sentence) => {
  const before = marked.slice(0, marked.indexOf('▶')).split('\n')
  const result = await load({ 'flow.yaml': marked.replace('▶', '') })
  const [first] = 'flow' in result ? result.warnings : []
  expect(first?.message).toMatch(sentence)
  expect([first?.line, first?.column, first?.severity]).toEqual([
    before.length,
    (before.at(-1)?.length ?? 0) + 1,
    'warning',
  ])
})

test('several mistakes are all told, in the order of the document', async () => {
  const text = box('    prot: 1\n    poll: never').replace('flow: f', 'flow: F')
  const result = await load({ 'flow.yaml': text })
  const problems = 'problems' in result ? result.problems : []
  expect(problems.map(problem => problem.line)).toEqual([1, 7, 8])
})

test('a mistake in a value that comes from a parameter is shown where it is used', async () => {
  const text =
    'flow: f\nparams: { rule: { type: text, default: message.sise > 1 } }\nfrom: { schedule: { every: 1h } }\nsteps:\n  - filter: { keep: "size(message.to) > 0 && ${params.rule}" }\nto: { server: { host: a } }\n'
  const result = await load({ 'flow.yaml': text })
  const [first] = 'problems' in result ? result.problems : []
  expect([first?.line, first?.column]).toEqual(
    [5, text.split('\n')[4]?.indexOf('${params.rule}') ?? -2 + 1].map((n, i) => (i === 1 ? n + 1 : n)),
  )
})

const many = (count: number, line: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => line(index))
const tiresome: readonly [string, string, RegExp][] = [
  [
    'keys that nobody knows',
    `flow: f\nfrom: { schedule: { every: 1h, ${many(19_000, index => `k${index}: 1`).join(', ')} } }\n`,
    /no key "k0"/,
  ],
  ['keys', many(30_000, index => `k${index}: 1`).join('\n'), /unfolds to more than/],
  ['tags', many(30_000, index => `k${index}: !!x 1`).join('\n'), /Tags/],
  ['keys twice', many(30_000, () => 'flow: f').join('\n'), /stands here twice/],
  ['quotes that are not closed', many(30_000, () => `- 'a`).join('\n'), /quote/],
]
test.each(tiresome)('thousands of %s cost no time, and the first of them are told', async (_title, text, first) => {
  // The time of this process alone: on a busy machine others take most of it.
  const before = process.cpuUsage()
  const result = await load({ 'flow.yaml': text })
  const { user, system } = process.cpuUsage(before)
  expect((user + system) / 1000).toBeLessThan(6_000)
  const problems = 'problems' in result ? result.problems : []
  expect(problems[0]?.message).toMatch(first)
  expect(problems.length).toBeLessThanOrEqual(200)
})

test('a document that unfolds to billions of values is refused quickly', async () => {
  const levels = Array.from(
    { length: 30 },
    (_, level) => `l${level + 1}: &l${level + 1} [*l${level}, *l${level}, *l${level}]`,
  )
  const before = process.cpuUsage()
  const result = await load({ 'flow.yaml': `l0: &l0 [a]\n${levels.join('\n')}\n` })
  expect('problems' in result && result.problems[0]?.message).toMatch(/unfolds to more than/)
  const deep = await load({ 'flow.yaml': `flow: ${'['.repeat(100_000)}` })
  expect('problems' in deep && deep.problems.length).toBeGreaterThan(0)
  const large = await load({ 'flow.yaml': `# ${'x'.repeat(600_000)}` })
  expect('problems' in large && large.problems[0]?.message).toMatch(/larger than 512KiB/)
  const { user, system } = process.cpuUsage(before)
  expect((user + system) / 1000).toBeLessThan(10_000)
})

test('a file or a stage that is not there is a problem, not a crash', async () => {
  const missing = await loadFlow({ file: '/nowhere/flow.yaml', stage: 'dev', ...adapters, steps: builtInSteps })
  expect('problems' in missing && missing.problems[0]?.message).toMatch(/not there/)
  const { folder, remove } = await flowFolder({ 'flow.yaml': base })
  const stage = await loadFlow({
    file: path.join(folder, 'flow.yaml'),
    stage: '../x',
    ...adapters,
    steps: builtInSteps,
  })
  expect('problems' in stage && stage.problems[0]?.message).toMatch(/cannot be the name of a stage/)
  await remove()
})

test('problems are printed with the line and a caret', async () => {
  const { folder, remove } = await flowFolder({ 'flow.yaml': box('    pol: 1m') })
  const file = path.join(folder, 'flow.yaml')
  const result = await loadFlow({ file, stage: 'dev', ...adapters, steps: builtInSteps })
  const problems: readonly Problem[] = 'problems' in result ? result.problems : []
  expect(formatProblems(problems, name => readFileSync(name, 'utf8'))).toBe(
    `${file}:7:5  error  mailbox has no key "pol".\n  7 |     pol: 1m\n    |     ^^^\n  Did you mean poll?\n`,
  )
  await remove()
})
