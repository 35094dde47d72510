import { expect, test } from 'vitest'
import type { Update } from '../drivers.ts'
import { scopeOf, startGraphDriver } from '../graph-driver-world.ts'
import type { Contact } from '../plan/items.ts'
import { sampleContact } from '../sample-items-world.ts'

const never = new AbortController().signal
const scope = scopeOf('contact')
const { surname } = sampleContact
const phones = { business: '+49 1', mobile: '+49 5', home: '+49 3', fax: '' }

/** A contact with more numbers than the sync knows, changed over Graph. */
async function changed(values: Partial<Contact>) {
  const world = await startGraphDriver()
  try {
    const mailbox = world.graph.mailbox(scope.mailbox)
    const { id } = mailbox.add('contact', mailbox.folder('contacts', 'contact').id, {
      surname,
      emailAddresses: [
        { address: 'Zoe@x.example', name: 'Zoë (office)' },
        { address: 'home@x.example', name: 'Zoë (home)' },
      ],
      businessPhones: ['+49 1', '+49 2'],
      homePhones: ['+49 3', '+49 4'],
      mobilePhone: '+49 5',
    })
    const [at] = await world.driver.read(scope, [id], never)
    if (at?.item.kind !== 'contact') throw new Error('it is not there')
    const after = { ...at.item, ...values }
    const change: Update = { ...at, before: at.item, after, fields: Object.keys(values), mark: undefined }
    expect(await world.driver.update(scope, [change], never)).toMatchObject([{ state: 'done' }])
    return mailbox.get(id, 'contact').values
  } finally {
    await world.stop()
  }
}

test('a number that changes leaves the second ones in the mailbox', async () => {
  expect(await changed({ phones: { ...phones, mobile: '+49 6' } })).toMatchObject({
    businessPhones: ['+49 1', '+49 2'],
    homePhones: ['+49 3', '+49 4'],
    mobilePhone: '+49 6',
  })
  expect(await changed({ phones: { ...phones, business: '+49 7' } })).toMatchObject({
    businessPhones: ['+49 7', '+49 2'],
    homePhones: ['+49 3', '+49 4'],
  })
  expect(await changed({ phones: { ...phones, business: '' } })).toMatchObject({ businessPhones: ['+49 2'] })
})

test('a mail address that changes leaves the others their names', async () => {
  expect(await changed({ emails: ['new@x.example', 'home@x.example'] })).toMatchObject({
    emailAddresses: [
      { address: 'new@x.example', name: expect.any(String) },
      { address: 'home@x.example', name: 'Zoë (home)' },
    ],
  })
})

test('a name that changes is the one that the contact is shown and filed under', async () => {
  expect(await changed({ givenName: 'Zoë' })).toMatchObject({ displayName: 'Zoë Müller', fileAs: 'Müller, Zoë' })
  expect(await changed({ middleName: 'M.' })).toMatchObject({ displayName: 'M. Müller', fileAs: 'M. Müller' })
  expect(await changed({ jobTitle: 'Buyer' })).toMatchObject({ displayName: '', fileAs: '' })
})
