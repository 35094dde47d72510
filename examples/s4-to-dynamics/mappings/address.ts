import { defineMapping, field, join, setting } from 'isthmus/mapping'
import { account } from './dynamics-tables.ts'
import { regionName } from './regions.ts'

const main = (name: string) => field(`E1ADRMAS/E1BPAD1VL/${name}`)

/** ADRMAS02 → the address of an account. DEBMAS does not carry central address management; ADRMAS does. */
export default defineMapping({
  name: 'address to account',
  source: 'idoc',
  absent: 'empty',
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
    telephone1: field('E1ADRMAS/E1BPADTEL/TELEPHONE').trim(),
    fax: field('E1ADRMAS/E1BPADFAX/FAX').trim(),
    emailaddress1: field('E1ADRMAS/E1BPADSMTP/E_MAIL').trim(),
  },
})
