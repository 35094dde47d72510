import type { JsonObject } from '../../kernel/json.ts'
import type { C4CRow, C4CWrite } from '../../protocols/c4c/client.ts'
import type { C4CEntity } from '../../protocols/c4c/types.ts'
import { asText } from '../body-text.ts'
import type { Contact } from '../plan/items.ts'
import { accountAddress, contactAddress, noAddress, normaliseAddress, readAddress, writeAddress } from './address.ts'
import { dayAt, lineOf, partAt, textAt } from './values.ts'

/** The sets that stand behind what a mailbox knows as contacts. */
export const entityOfParty = {
  contact: 'Contact',
  account: 'CorporateAccount',
  'individual-customer': 'IndividualCustomer',
} as const satisfies Readonly<Record<Contact['party'], C4CEntity>>

export function contactTexts(party: Contact['party']): string {
  return `${entityOfParty[party]}TextCollection`
}

const lengths = { name: 40, phone: 40, email: 255, website: 1280 } as const

export function readContact({ values }: C4CRow, party: Contact['party']): Contact {
  const isAccount = party === 'account'
  const email = textAt(values, 'Email').toLowerCase()
  return {
    kind: 'contact',
    party,
    givenName: textAt(values, 'FirstName'),
    middleName: textAt(values, 'MiddleName'),
    surname: textAt(values, 'LastName'),
    company: isAccount ? textAt(values, 'Name') : '',
    department: party === 'contact' ? textAt(values, 'Department') : '',
    jobTitle: party === 'contact' ? textAt(values, 'JobTitle') : '',
    emails: email === '' ? [] : [email],
    phones: {
      business: textAt(values, 'Phone'),
      mobile: textAt(values, 'Mobile'),
      home: '',
      fax: textAt(values, 'Fax'),
    },
    businessAddress: readAddress(values, party === 'contact' ? contactAddress : accountAddress),
    homeAddress: noAddress,
    website: isAccount ? textAt(values, 'WebSite') : '',
    birthday: party === 'contact' ? dayAt(values, 'BirthDate') : null,
    body: asText({ type: 'text', content: textAt(partAt(values, contactTexts(party))[0]?.values ?? {}, 'Text') }),
    sensitivity: 'normal',
    categories: [],
  }
}

/** Values of the header for these fields; `before` is what stands there, undefined for a new contact. */
export function contactValues(given: Contact, fields: ReadonlySet<string>, before?: Contact): JsonObject {
  const item = normaliseContact(given)
  const { party, phones } = item
  const isPerson = party !== 'account'
  const addressNames = party === 'contact' ? contactAddress : accountAddress
  return {
    ...(isPerson && fields.has('givenName') && { FirstName: item.givenName }),
    ...(isPerson && fields.has('middleName') && { MiddleName: item.middleName }),
    ...(isPerson && fields.has('surname') && { LastName: item.surname }),
    ...(!isPerson && fields.has('company') && { Name: item.company }),
    ...(!isPerson && fields.has('website') && { WebSite: item.website }),
    ...(party === 'contact' && fields.has('department') && { Department: item.department }),
    ...(party === 'contact' && fields.has('jobTitle') && { JobTitle: item.jobTitle }),
    ...(party === 'contact' && fields.has('birthday') && { BirthDate: item.birthday }),
    ...(fields.has('emails') && { Email: item.emails[0] ?? '' }),
    ...(fields.has('phones') && { Phone: phones.business, Mobile: phones.mobile, Fax: phones.fax }),
    ...(fields.has('businessAddress') &&
      writeAddress(item.businessAddress, addressNames, before && normaliseContact(before).businessAddress)),
  }
}

export function contactBelow(item: Contact): JsonObject {
  const { content } = asText(item.body)
  return content === '' ? {} : { [contactTexts(item.party)]: [{ Text: content }] }
}

export function contactChanges(row: C4CRow, item: Contact, fields: ReadonlySet<string>): readonly C4CWrite[] {
  if (!fields.has('body')) return []
  const part = contactTexts(item.party)
  const entity = entityOfParty[item.party]
  const { content } = asText(item.body)
  const [known] = partAt(row.values, part)
  if (known && textAt(known.values, 'Text') === content) return []
  if (known && content === '') return [{ kind: 'remove-below', part, id: known.id }]
  if (known) return [{ kind: 'update-below', entity, part, id: known.id, body: { Text: content } }]
  return content === '' ? [] : [{ kind: 'create-below', entity, id: row.id, part, body: { Text: content } }]
}

/** As Cloud for Customer gives it back: one address to write to, one place, house numbers apart, no company as text. */
export function normaliseContact(item: Contact): Contact {
  const { party, phones } = item
  const isContact = party === 'contact'
  const isPerson = party !== 'account'
  const name = (text: string) => lineOf(text, lengths.name)
  return {
    ...item,
    givenName: isPerson ? name(item.givenName) : '',
    middleName: isPerson ? name(item.middleName) : '',
    // A person without a surname is known by what else there is: the service wants one.
    surname: isPerson
      ? name(item.surname) || name(item.givenName) || name(item.company) || name(item.emails[0] ?? '') || '-'
      : '',
    company: isPerson
      ? ''
      : name(item.company) || name([item.givenName, item.surname].filter(Boolean).join(' ')) || '-',
    department: isContact ? name(item.department) : '',
    jobTitle: isContact ? name(item.jobTitle) : '',
    emails: item.emails.slice(0, 1).map(email => lineOf(email.toLowerCase(), lengths.email)),
    phones: {
      business: lineOf(phones.business, lengths.phone),
      mobile: lineOf(phones.mobile, lengths.phone),
      home: '',
      fax: lineOf(phones.fax, lengths.phone),
    },
    businessAddress: normaliseAddress(item.businessAddress),
    homeAddress: noAddress,
    website: isPerson ? '' : lineOf(item.website, lengths.website),
    birthday: isContact ? item.birthday : null,
    body: asText(item.body),
    sensitivity: 'normal',
    categories: [],
  }
}
