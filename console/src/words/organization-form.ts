import type { FormField } from './form.ts'

const more = 'More settings'
const about: FormField = { path: 'about', label: 'What it is for' }

/** All settings of an organization; `organization-form.test.ts` holds them against what the hub takes. */
export const organizationFields: readonly FormField[] = [
  {
    path: 'access',
    label: 'How the hub comes into the mailboxes',
    options: ['ews-impersonation', 'ews-direct', 'graph'],
    isRequired: true,
  },
  {
    path: 'exchange.url',
    label: 'Exchange: URL of EWS, or the root of Graph',
    hint: 'Autodiscover, or Microsoft’s own Graph, when it is empty.',
  },
  { path: 'exchange.auth', label: 'Exchange: credential', hint: 'Of the service account; ews-direct needs none.' },
  {
    path: 'crm.url',
    label: 'Cloud for Customer: URL of its OData service',
    isRequired: true,
    hint: 'https://my300001.crm.ondemand.com/sap/c4c/odata/v1/c4codataapi/',
  },
  { path: 'crm.auth', label: 'Cloud for Customer: credential', isRequired: true },
  { path: 'profile', label: 'Profile', hint: 'The rules of its mailboxes.' },
  { path: 'testMailbox', label: 'Mailbox to test the access with' },
  about,
  {
    path: 'exchange.logIn',
    label: 'Exchange: how a user with password logs in',
    options: ['ntlm', 'basic'],
    fold: more,
  },
  { path: 'exchange.via', label: 'Exchange: location of the connector', fold: more },
  {
    path: 'crm.visits',
    label: 'Cloud for Customer: visits come into the calendar of their',
    options: ['', 'owner', 'organizer'],
    fold: more,
    hint: 'They are not synced when it is empty.',
  },
  { path: 'crm.via', label: 'Cloud for Customer: location of the connector', fold: more },
  {
    path: 'crm.language',
    label: 'Cloud for Customer: language of the notes that are written',
    fold: more,
    hint: 'EN when it is empty.',
  },
  {
    path: 'crm.accountRole',
    label: 'Cloud for Customer: role of new accounts',
    fold: more,
    hint: 'CRM000 (customer) when it is empty.',
  },
  {
    path: 'crm.customerRole',
    label: 'Cloud for Customer: role of new individual customers',
    fold: more,
    hint: 'CRM000 (customer) when it is empty.',
  },
  {
    path: 'crm.overlap',
    label: 'Cloud for Customer: a change shows at the latest after',
    fold: more,
    hint: '5m when it is empty.',
  },
  {
    path: 'every',
    label: 'Mailboxes are looked at every',
    fold: more,
    hint: 'Without a notification; 5m when it is empty.',
  },
]

const kinds = [
  ['appointment', 'Appointments'],
  ['contact', 'Contacts'],
  ['task', 'Tasks'],
  ['mail', 'E-mails'],
] as const

/** What is left empty is as usual. */
const span = 'Like 30d; all: no limit.'

const kindFields = ([kind, fold]: (typeof kinds)[number]): readonly FormField[] => {
  const of = (name: string) => `${fold}: ${name}`
  const path = (setting: string) => `rules.${kind}.${setting}`
  return [
    { path: path('direction'), label: of('direction'), options: ['', 'both', 'to-crm', 'to-exchange', 'off'], fold },
    { path: path('conflict'), label: of('who wins a conflict'), options: ['', 'newest', 'exchange', 'crm'], fold },
    {
      path: path('deletions'),
      label: of('deletions'),
      options: ['', 'mirror', 'keep'],
      fold,
      hint: 'mirror: deleted on one side, deleted on the other.',
    },
    { path: path('category'), label: of('only those of the category'), type: 'or-all', fold, hint: 'all: every one.' },
    { path: path('folder'), label: of('only those of the folder'), type: 'or-all', fold, hint: 'all: every one.' },
    { path: path('past'), label: of('not older than'), type: 'or-all', fold, hint: span },
    { path: path('future'), label: of('no further ahead than'), type: 'or-all', fold, hint: span },
  ]
}

const series = 'Series'
const others = 'Further rules'

/** All settings of a profile. */
export const profileFields: readonly FormField[] = [
  about,
  ...kinds.flatMap(kindFields),
  { path: 'rules.series.as', label: 'A series comes over as', options: ['', 'occurrences', 'one'], fold: series },
  ...['daily', 'weekly', 'monthly', 'yearly'].map(rhythm => ({
    path: `rules.series.${rhythm}`,
    label: `Occurrences of ${rhythm} series are made ahead for`,
    fold: series,
    hint: 'Like 90d.',
  })),
  { path: 'rules.markCategory', label: 'Category that shows which items are synced', fold: others },
  {
    path: 'rules.blocked',
    label: 'Blocked domains and addresses',
    type: 'list',
    fold: others,
    hint: 'With blanks between them.',
  },
  { path: 'rules.ownDomains', label: 'Own domains', type: 'list', fold: others, hint: 'With blanks between them.' },
  {
    path: 'rules.brake.freeCount',
    label: 'Deletions that wait for nobody, at most',
    type: 'number',
    fold: others,
    hint: 'More of them, above the share below, wait for a person.',
  },
  { path: 'rules.brake.share', label: 'Share of all items, from 0 to 1', type: 'number', fold: others },
]
