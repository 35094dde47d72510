import { defineMapping, field, join } from 'isthmus/mapping'
import { account } from './dynamics-tables.ts'

/** ADRMAS02 → the address of an account. DEBMAS does not carry central address management; ADRMAS does. */
export default defineMapping({
  name: 'address to account',
  source: 'idoc',
  target: account,
  fields: {
    accountnumber: field('E1ADRMAS/OBJ_ID').alpha().required(),
    address1_line1: join(' ', field('E1ADRMAS/E1BPAD1VL/STREET').trim(), field('E1ADRMAS/E1BPAD1VL/HOUSE_NO').trim()),
    address1_city: field('E1ADRMAS/E1BPAD1VL/CITY').trim(),
    address1_county: field('E1ADRMAS/E1BPAD1VL/DISTRICT').trim(),
    address1_postalcode: field('E1ADRMAS/E1BPAD1VL/POSTL_COD1'),
    address1_stateorprovince: field('E1ADRMAS/E1BPAD1VL/REGION'),
    address1_country: field('E1ADRMAS/E1BPAD1VL/COUNTRY'),
    address1_postofficebox: field('E1ADRMAS/E1BPAD1VL/PO_BOX'),
    telephone1: field('E1ADRMAS/E1BPADTEL/TELEPHONE').trim(),
    fax: field('E1ADRMAS/E1BPADFAX/FAX').trim(),
    emailaddress1: field('E1ADRMAS/E1BPADSMTP/E_MAIL').trim(),
  },
})
