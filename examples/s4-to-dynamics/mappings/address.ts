import { constant, defineMapping, field, join, pick, setting } from 'isthmus/mapping'
import { account } from './dynamics-tables.ts'
import { regionName } from './regions.ts'

/** The address itself; others are versions of it in other letters (ADDR_VERS: I international, K kanji). */
const main = (name: string) => pick('E1ADRMAS/E1BPAD1VL', { where: ['ADDR_VERS', ''] }).field(name)
/** ADRMAS is always the whole of an address: where none is told, there is none any more. */
const none = constant('')
/** The standard one of several telephones, faxes or mail addresses. */
const standard = (segment: string, name: string) =>
  pick(`E1ADRMAS/${segment}`, { where: ['STD_NO', 'X'] })
    .field(name)
    .trim()

/** ADRMAS02 → the address of an account. DEBMAS does not carry central address management; ADRMAS does. */
export default defineMapping({
  name: 'address to account',
  source: 'idoc',
  absent: 'empty',
  one: 'E1ADRMAS',
  target: account,
  fields: {
    accountnumber: field('E1ADRMAS/OBJ_ID').alpha().required(),
    address1_line1: join(' ', main('STREET').trim(), main('HOUSE_NO').trim()),
    address1_city: main('CITY').trim(),
    address1_county: main('DISTRICT').trim(),
    address1_postalcode: main('POSTL_COD1'),
    address1_stateorprovince: regionName(main('COUNTRY'), main('REGION')),
    address1_country: main('COUNTRY').countryName(setting('language')),
    address1_postofficebox: main('PO_BOX'),
    telephone1: join('-', standard('E1BPADTEL', 'TELEPHONE'), standard('E1BPADTEL', 'EXTENSION')).or(none),
    fax: join('-', standard('E1BPADFAX', 'FAX'), standard('E1BPADFAX', 'EXTENSION')).or(none),
    emailaddress1: standard('E1BPADSMTP', 'E_MAIL').or(none),
  },
})
