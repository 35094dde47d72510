import type { JsonObject } from '../../kernel/json.ts'
import { readBirthday, writeBirthday } from '../birthday.ts'
import { asText, cutText, plainLines } from '../body-text.ts'
import type { Address, Contact } from '../plan/items.ts'
import { extended, extendedAt, sensitivityAt, sensitivityProperty } from './extended.ts'
import { listAt, objectAt, textAt, textsAt } from './row.ts'

const emailsMax = 3
const parties = ['contact', 'account', 'individual-customer'] as const

export function readContact(row: JsonObject): Contact {
  const categories = textsAt(row, 'categories')
  return {
    kind: 'contact',
    party: partyOf(extendedAt(row, 'party'), categories),
    givenName: textAt(row, 'givenName'),
    middleName: textAt(row, 'middleName'),
    surname: textAt(row, 'surname'),
    company: textAt(row, 'companyName'),
    department: textAt(row, 'department'),
    jobTitle: textAt(row, 'jobTitle'),
    emails: listAt(row, 'emailAddresses')
      .map(each => textAt(each, 'address').toLowerCase())
      .filter(address => address !== ''),
    phones: {
      business: textsAt(row, 'businessPhones')[0] ?? '',
      mobile: textAt(row, 'mobilePhone'),
      home: textsAt(row, 'homePhones')[0] ?? '',
      fax: extendedAt(row, 'fax'),
    },
    businessAddress: readAddress(objectAt(row, 'businessAddress')),
    homeAddress: readAddress(objectAt(row, 'homeAddress')),
    website: textAt(row, 'businessHomePage'),
    birthday: readBirthday(textAt(row, 'birthday')),
    body: asText({ type: 'text', content: textAt(row, 'personalNotes') }),
    sensitivity: sensitivityAt(row),
    categories,
  }
}

function readAddress(row: JsonObject): Address {
  return {
    street: plainLines(textAt(row, 'street')),
    postalCode: textAt(row, 'postalCode'),
    city: textAt(row, 'city'),
    region: textAt(row, 'state'),
    country: textAt(row, 'countryOrRegion'),
  }
}

/** What a contact stands for in the CRM: said by the hub, or by a category that people give it. */
function partyOf(property: string, categories: readonly string[]): Contact['party'] {
  const said = parties.find(each => each === property)
  if (said) return said
  if (categories.includes('Account')) return 'account'
  return categories.includes('Individual Customer') ? 'individual-customer' : 'contact'
}

/** `there`: the lists of a contact that is changed, of which nothing else goes. */
export function writeContact(
  item: Contact,
  fields: ReadonlySet<string>,
  there: JsonObject = {},
): { values: JsonObject; properties: readonly JsonObject[] } {
  const text = (field: keyof Contact, name: string) =>
    fields.has(field) ? { [name]: String(item[field]) || null } : {}
  const isNamed = ['givenName', 'middleName', 'surname', 'company'].some(field => fields.has(field))
  const display = [item.givenName, item.middleName, item.surname].filter(Boolean).join(' ') || item.company
  const isFull = item.surname !== '' && item.givenName !== ''
  const filed = isFull ? `${item.surname}, ${item.givenName}` : display
  const values: JsonObject = {
    ...text('givenName', 'givenName'),
    ...text('middleName', 'middleName'),
    ...text('surname', 'surname'),
    ...text('company', 'companyName'),
    ...text('department', 'department'),
    ...text('jobTitle', 'jobTitle'),
    ...text('website', 'businessHomePage'),
    // Outlook sorts its contacts by it, and Graph does not make one.
    ...(isNamed && { displayName: cutText(display, 255), fileAs: cutText(filed, 255) }),
    ...(fields.has('emails') && {
      emailAddresses: item.emails
        .slice(0, emailsMax)
        .map(address => emailAt(there, address) ?? { address, name: display }),
    }),
    ...(fields.has('phones') && {
      businessPhones: withFurther(item.phones.business, textsAt(there, 'businessPhones')),
      homePhones: withFurther(item.phones.home, textsAt(there, 'homePhones')),
      mobilePhone: item.phones.mobile || null,
    }),
    ...(fields.has('businessAddress') && { businessAddress: writeAddress(item.businessAddress) }),
    ...(fields.has('homeAddress') && { homeAddress: writeAddress(item.homeAddress) }),
    // Noon in UTC is the same day in (almost) every zone.
    ...(fields.has('birthday') && { birthday: item.birthday === null ? null : writeBirthday(item.birthday) }),
    ...(fields.has('body') && { personalNotes: item.body.content }),
  }
  const properties = [
    ...(fields.has('phones') ? [extended('fax', item.phones.fax)] : []),
    ...(fields.has('sensitivity') ? [sensitivityProperty(item.sensitivity)] : []),
    ...(fields.has('party') ? [extended('party', item.party)] : []),
  ]
  return { values, properties }
}

/** A mail address with the name that people gave it. */
function emailAt(there: JsonObject, address: string): JsonObject | undefined {
  return listAt(there, 'emailAddresses').find(each => textAt(each, 'address').toLowerCase() === address)
}

/** The first number with the others, which the sync does not know. */
function withFurther(first: string, numbers: readonly string[]): readonly string[] {
  return [first, ...numbers.slice(1)].filter(Boolean)
}

function writeAddress({ street, postalCode, city, region, country }: Address): JsonObject {
  return { street, postalCode, city, state: region, countryOrRegion: country }
}

export function normaliseContact(item: Contact): Contact {
  return { ...item, emails: item.emails.slice(0, emailsMax), body: asText(item.body) }
}
