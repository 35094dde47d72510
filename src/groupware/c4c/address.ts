import type { JsonObject } from '../../kernel/json.ts'
import type { Address } from '../plan/items.ts'
import { countryCode, countryName } from './countries.ts'
import { lineOf, textAt } from './values.ts'

/** Names of the fields of an address: contacts have them with a prefix. */
export interface AddressFields {
  readonly street: string
  readonly houseNumber: string
  readonly postalCode: string
  readonly city: string
  readonly country: string
}

export const contactAddress: AddressFields = {
  street: 'BusinessAddressStreet',
  houseNumber: 'BusinessAddressHouseNumber',
  postalCode: 'BusinessAddressStreetPostalCode',
  city: 'BusinessAddressCity',
  country: 'BusinessAddressCountryCode',
}
export const accountAddress: AddressFields = {
  street: 'Street',
  houseNumber: 'HouseNumber',
  postalCode: 'StreetPostalCode',
  city: 'City',
  country: 'CountryCode',
}

export const noAddress: Address = { street: '', postalCode: '', city: '', region: '', country: '' }

export function readAddress(values: JsonObject, fields: AddressFields): Address {
  return {
    street: [textAt(values, fields.street), textAt(values, fields.houseNumber)].filter(Boolean).join(' '),
    postalCode: textAt(values, fields.postalCode),
    city: textAt(values, fields.city),
    region: '',
    country: countryName(textAt(values, fields.country)),
  }
}

/** Only what differs from `before`: what nobody changed may say more there than an item can. */
export function writeAddress(address: Address, names: AddressFields, before?: Address): JsonObject {
  const { street, houseNumber } = splitStreet(address.street)
  const has = (field: keyof Address) => address[field] !== before?.[field]
  return {
    // Together, since a house number of another kind stands in the street as it is read.
    ...(has('street') && { [names.street]: street, [names.houseNumber]: houseNumber }),
    ...(has('postalCode') && { [names.postalCode]: lineOf(address.postalCode, 10) }),
    ...(has('city') && { [names.city]: lineOf(address.city, 40) }),
    ...(has('country') && { [names.country]: countryCode(address.country) }),
  }
}

/** As it comes back: regions have codes of SAP's own there, and countries the name that goes with their code. */
export function normaliseAddress(address: Address): Address {
  const { street, houseNumber } = splitStreet(address.street)
  return {
    street: [street, houseNumber].filter(Boolean).join(' '),
    postalCode: lineOf(address.postalCode, 10),
    city: lineOf(address.city, 40),
    region: '',
    country: countryName(countryCode(address.country)),
  }
}

/** `Hauptstraße 7a` as street and house number; a number that stands first belongs to the street. */
function splitStreet(text: string): { readonly street: string; readonly houseNumber: string } {
  const line = lineOf(text, 60)
  const [, street = '', houseNumber = ''] = /^(.*\D)\s+(\d+\s?[a-zA-Z]?)$/.exec(line) ?? []
  if (street === '' || houseNumber.length > 10) return { street: line, houseNumber: '' }
  return { street: street.trim(), houseNumber }
}
