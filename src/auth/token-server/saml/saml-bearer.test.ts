import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeTwinCertificate, type TwinCertificate } from '../../../twins/certificate.ts'
import { decode, type TokenWorld, tokenWorld } from '../token-world.ts'
import {
  type AssertionParts,
  assertionXml,
  type SignOptions,
  signatureXml,
  signedAssertion,
} from './assertion-world.ts'

const grantType = 'urn:ietf:params:oauth:grant-type:saml2-bearer'
const idp = 'https://idp.example'

let idpKeys: TwinCertificate
let strangerKeys: TwinCertificate
let world: TokenWorld
let caller: Awaited<ReturnType<TokenWorld['caller']>>
beforeAll(async () => {
  idpKeys = await makeTwinCertificate(['idp.example'], { keys: 'rsa' })
  strangerKeys = await makeTwinCertificate(['evil.example'], { keys: 'rsa' })
  world = await tokenWorld({
    trusted: [
      { name: 'corp', issuer: idp, certificates: [idpKeys.cert], roles: ['ESBMessaging.send'] },
      { name: 'other', issuer: 'https://other.example', certificates: [strangerKeys.cert] },
    ],
  })
  const roles = ['ESBMessaging.send', 'API.invoke']
  caller = await world.caller('saml-client', { roles, 'grant-types': [grantType] })
})
afterAll(() => world.close())

const encode = (xml: string) => Buffer.from(xml).toString('base64url')
const send = (assertion: string) => world.ask(caller, { grant_type: grantType, assertion })
const sendXml = (xml: string) => send(encode(xml))
const good = (parts: AssertionParts = {}, options: SignOptions = {}) =>
  signedAssertion(idpKeys.key, world.issuer, parts, options)

async function expectRefused(xml: string, reason: RegExp): Promise<void> {
  const from = world.lines.length
  const { status, body } = await sendXml(xml)
  expect([status, body.error]).toEqual([400, 'invalid_grant'])
  expect(world.lines.slice(from).join('\n')).toMatch(reason)
}

test('an assertion of a trusted issuer gives a token for its user, with the roles that issuer may give', async () => {
  const { status, body } = await sendXml(good())
  expect([status, body.scope, body.refresh_token]).toEqual([200, 'ESBMessaging.send', undefined])
  expect(decode(body.access_token).payload).toMatchObject({
    sub: 'anna@corp',
    idp: 'corp',
    gty: 'saml2-bearer',
    client_id: caller.clientId,
  })
  const claims = await world.tokens().verifyAccessToken(body.access_token)
  expect(claims && world.tokens().isRevoked(claims)).toBe(false)
})

test('SHA-512, an XML declaration and the certificate in KeyInfo are fine', async () => {
  const method = 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512'
  expect((await sendXml(good({}, { digest: 'sha512', method }))).status).toBe(200)
  expect((await sendXml(`<?xml version="1.0" encoding="UTF-8"?>\n${good()}`)).status).toBe(200)
  const der = idpKeys.cert.replace(/-----[^-]+-----|\s/g, '')
  const keyInfo = `<ds:KeyInfo><ds:X509Data><ds:X509Certificate>${der}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>`
  expect((await sendXml(good({}, { keyInfo }))).status).toBe(200)
})

test('a user of an issuer is never taken for a person of the hub with the same name', async () => {
  await world.people.create({ name: 'boss@corp', roles: ['ESBMessaging.send'], password: 'correct horse battery' })
  const { body } = await sendXml(good({ subject: 'boss@corp' }))
  expect(decode(body.access_token).payload).toMatchObject({ sub: 'boss@corp', idp: 'corp' })
  await world.people.update('boss@corp', { disabled: true })
  const claims = await world.tokens().verifyAccessToken(body.access_token)
  expect(claims && world.tokens().isRevoked(claims)).toBe(false)
})

test('an assertion counts once, also when it comes twice at the same moment', async () => {
  const xml = good()
  const statuses = (await Promise.all([sendXml(xml), sendXml(xml)])).map(({ status }) => status)
  expect(statuses.toSorted((left, right) => left - right)).toEqual([200, 400])
  await world.restart()
  await expectRefused(xml, /used before/)
})

describe('what an assertion must say', () => {
  const minute = 60_000
  test.each<[string, () => AssertionParts, RegExp]>([
    ['another recipient', () => ({ recipient: 'https://elsewhere.example/oauth/token' }), /no bearer confirmation/],
    ['another audience', () => ({ audience: 'https://elsewhere.example' }), /somebody else/],
    ['an end that is past', () => ({ until: Date.now() - 2 * minute }), /expired/],
    ['a beginning that is to come', () => ({ notBefore: Date.now() + 2 * minute }), /not valid yet/],
    ['issued in the future', () => ({ now: Date.now() + 5 * minute }), /future/],
    ['more than an hour', () => ({ until: Date.now() + 62 * minute }), /too long/],
    ['an issuer nobody trusts', () => ({ idp: 'https://evil.example' }), /nobody trusts/],
    ['another trusted issuer than the one that signed', () => ({ idp: 'https://other.example' }), /no certificate/],
    [
      'no audience',
      () => ({
        conditionsXml: `<saml:Conditions NotOnOrAfter="${new Date(Date.now() + minute).toISOString()}"></saml:Conditions>`,
      }),
      /somebody else/,
    ],
    [
      'no end of its conditions',
      () => ({
        conditionsXml: `<saml:Conditions><saml:AudienceRestriction><saml:Audience>${world.issuer}</saml:Audience></saml:AudienceRestriction></saml:Conditions>`,
      }),
      /no end/,
    ],
    ['no conditions', () => ({ conditionsXml: '' }), /no Conditions/],
    ['an empty subject', () => ({ subject: '' }), /NameID/],
    ['a subject with spaces around it', () => ({ subject: ' anna@corp' }), /NameID/],
    [
      'two subjects',
      () => ({ moreXml: '<saml:Subject><saml:NameID>boss@corp</saml:NameID></saml:Subject>' }),
      /more than one Subject/,
    ],
    [
      'a time without Z',
      () => ({
        conditionsXml: `<saml:Conditions NotOnOrAfter="2099-01-01T00:00:00"><saml:AudienceRestriction><saml:Audience>${world.issuer}</saml:Audience></saml:AudienceRestriction></saml:Conditions>`,
      }),
      /no time in UTC/,
    ],
    [
      'a confirmation by somebody who holds a key',
      () => ({
        subjectXml: `<saml:NameID>anna@corp</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"><saml:SubjectConfirmationData NotOnOrAfter="${new Date(Date.now() + minute).toISOString()}" Recipient="${world.issuer}/oauth/token"></saml:SubjectConfirmationData></saml:SubjectConfirmation>`,
      }),
      /no bearer confirmation/,
    ],
    [
      'a confirmation with NotBefore',
      () => ({
        subjectXml: `<saml:NameID>anna@corp</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotBefore="2020-01-01T00:00:00Z" NotOnOrAfter="${new Date(Date.now() + minute).toISOString()}" Recipient="${world.issuer}/oauth/token"></saml:SubjectConfirmationData></saml:SubjectConfirmation>`,
      }),
      /NotBefore/,
    ],
  ])('%s is refused', async (_name, parts, reason) => {
    await expectRefused(good(parts()), reason)
  })
})

describe('how an assertion must be signed', () => {
  test('not at all', async () => expectRefused(assertionXml(world.issuer), /one signature of its own/))

  test('changed afterwards', async () =>
    expectRefused(good({ subject: 'anna@corp' }).replace('anna@corp', 'boss@corp'), /no certificate/))

  test('by a stranger, whose certificate it brings along', async () => {
    const der = strangerKeys.cert.replace(/-----[^-]+-----|\s/g, '')
    const keyInfo = `<ds:KeyInfo><ds:X509Data><ds:X509Certificate>${der}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>`
    await expectRefused(signedAssertion(strangerKeys.key, world.issuer, {}, { keyInfo }), /no certificate/)
  })

  const hmac = 'http://www.w3.org/2000/09/xmldsig#hmac-sha1'
  test.each<[string, () => SignOptions, RegExp]>([
    ['with SHA-1', () => ({ method: 'http://www.w3.org/2000/09/xmldsig#rsa-sha1' }), /method is not accepted/],
    ['over a SHA-1 digest', () => ({ digest: 'sha1' }), /digest method/],
    [
      'with HMAC and the public certificate as key',
      () => ({
        method: hmac,
        signatureValue: (info: string) => createHmac('sha1', idpKeys.cert).update(info).digest('base64'),
      }),
      /method is not accepted/,
    ],
    ['about the whole document', () => ({ uri: '' }), /something else/],
    ['about another element', () => ({ uri: '#_other' }), /something else/],
    ['about something elsewhere', () => ({ uri: 'https://evil.example/x' }), /something else/],
    [
      'with XSLT',
      () => ({
        transforms: [
          'http://www.w3.org/2000/09/xmldsig#enveloped-signature',
          'http://www.w3.org/TR/1999/REC-xslt-19991116',
        ],
      }),
      /transforms/,
    ],
    ['with one transform only', () => ({ transforms: ['http://www.w3.org/2001/10/xml-exc-c14n#'] }), /unusual shape/],
    [
      'with two references',
      () => ({ tamper: (info: string) => info.replace(/(<ds:Reference.*<\/ds:Reference>)/, '$1$1') }),
      /unusual shape/,
    ],
    ['with a second SignedInfo', () => ({ tamper: (info: string) => info + info }), /unusual shape/],
    ['with an Object beside', () => ({ keyInfo: '<ds:Object></ds:Object>' }), /unusual shape/],
    [
      'with a comment in its digest',
      () => ({ tamper: (info: string) => info.replace('<ds:DigestValue>', '<ds:DigestValue><!--x-->') }),
      /a comment/,
    ],
    ['with a value that is none', () => ({ signatureValue: () => 'AAAA' }), /no certificate/],
  ])('%s it is refused', async (_name, options, reason) => {
    await expectRefused(good({}, options()), reason)
  })
})

describe('signature wrapping: a forged assertion beside a signed one is refused', () => {
  const evilId = '_evil'
  /** The signed original, its signature alone, and a forgery that can carry either. */
  function pieces() {
    const id = `_${Math.random().toString(16).slice(2)}`
    const now = Date.now()
    const bare = assertionXml(world.issuer, { id, now })
    const signature = signatureXml(idpKeys.key, id, bare)
    const original = assertionXml(world.issuer, { id, now }, signature)
    const forged = (inside: string, evil = evilId, moreXml = '') =>
      assertionXml(world.issuer, { id: evil, now, subject: 'boss@corp', moreXml }, inside)
    return { id, bare, signature, original, forged }
  }
  const inObject = (signature: string, xml: string) =>
    signature.replace('</ds:Signature>', `<ds:Object>${xml}</ds:Object></ds:Signature>`)
  const response = (inside: string) =>
    `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_r">${inside}</samlp:Response>`

  test('the pieces are good on their own', async () => {
    expect((await sendXml(pieces().original)).status).toBe(200)
  })

  test.each<[string, () => string]>([
    [
      '1: the original in the signature of the forgery',
      () => {
        const p = pieces()
        return p.forged(inObject(p.signature, p.bare))
      },
    ],
    [
      '2: the original beside the signature in the forgery',
      () => {
        const p = pieces()
        return p.forged(p.signature, evilId, p.bare)
      },
    ],
    [
      '3: the forgery before the original in a response',
      () => {
        const p = pieces()
        return response(p.forged('') + p.original)
      },
    ],
    [
      '4: the original inside the forgery in a response',
      () => {
        const p = pieces()
        return response(p.forged('', evilId, p.original))
      },
    ],
    [
      '5: the forgery with the signature, the original after it',
      () => {
        const p = pieces()
        return response(p.forged(p.signature) + p.bare)
      },
    ],
    [
      '6: the forgery with the id of the original, which lies in its signature',
      () => {
        const p = pieces()
        return p.forged(inObject(p.signature, p.bare), p.id)
      },
    ],
    [
      '7: the forgery in an extension of the original',
      () => {
        const p = pieces()
        return p.original.replace('</saml:Issuer>', `</saml:Issuer><saml:Advice>${p.forged('')}</saml:Advice>`)
      },
    ],
    [
      '8: the forgery in an object of the signature of the original',
      () => {
        const p = pieces()
        return p.original.replace('</ds:Signature>', `<ds:Object>${p.forged('')}</ds:Object></ds:Signature>`)
      },
    ],
    [
      'the original whole in the forgery',
      () => {
        const p = pieces()
        return p.forged('', evilId, p.original)
      },
    ],
    [
      'two signatures in the forgery',
      () => {
        const p = pieces()
        return p.forged(p.signature + p.signature)
      },
    ],
    [
      'the same id twice',
      () => {
        const p = pieces()
        return p.forged(p.signature, p.id, p.bare)
      },
    ],
    [
      'a signature of another namespace',
      () => {
        const p = pieces()
        return p.forged(p.signature).replaceAll('xmldsig#"', 'xmldsig"')
      },
    ],
    ['an assertion of another namespace', () => pieces().original.replace('SAML:2.0:assertion', 'SAML:1.0:assertion')],
  ])('%s', async (_name, make) => {
    const { status, body } = await sendXml(make())
    expect([status, body.error]).toEqual([400, 'invalid_grant'])
  })
})

describe('XML that two readers could read in two ways is refused', () => {
  test.each<[string, (xml: string) => string, RegExp]>([
    ['a comment in the NameID', xml => xml.replace('anna@corp', 'anna@corp<!--.evil.example-->'), /a comment/],
    [
      'a processing instruction in the NameID',
      xml => xml.replace('anna@corp', 'anna@corp<?a .evil.example?>'),
      /processing instruction/,
    ],
    ['CDATA in the NameID', xml => xml.replace('anna@corp', '<![CDATA[anna@corp]]>'), /CDATA/],
    ['an element in the NameID', xml => xml.replace('anna@corp', 'anna<x></x>@corp'), /no certificate|NameID/],
    ['a DOCTYPE', xml => `<!DOCTYPE x>${xml}`, /DOCTYPE/],
    ['an entity of its own', xml => `<!DOCTYPE x [<!ENTITY e "boss">]>${xml.replace('anna', '&e;')}`, /DOCTYPE/],
    [
      'an external entity',
      xml => `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>${xml.replace('anna', '&e;')}`,
      /DOCTYPE/,
    ],
    ['an unknown entity', xml => xml.replace('anna', '&nbsp;'), /broken/],
    ['something after the root', xml => `${xml}<x/>`, /broken/],
    ['a comment after the root', xml => `${xml}<!--x-->`, /a comment/],
    ['a control character', xml => xml.replace('anna', '\u0001'), /broken/],
    ['depth without end', () => '<a>'.repeat(7000), /too deep/],
    ['elements without end', () => `<a>${'<b></b>'.repeat(4000)}</a>`, /too many elements/],
    ['too many bytes', xml => xml.replace('anna', 'a'.repeat(40_000)), /too large/],
    ['nothing at all', () => ' ', /broken|empty|base64/],
  ])('%s', async (_name, change, reason) => {
    await expectRefused(change(good()), reason)
  })

  test('bytes that are no UTF-8, and text that is no base64', async () => {
    const bytes = Buffer.concat([Buffer.from('<a>'), Buffer.from([0xc3, 0x28]), Buffer.from('</a>')])
    expect((await send(bytes.toString('base64url'))).body.error).toBe('invalid_grant')
    expect((await send('<saml:Assertion/>')).body.error).toBe('invalid_grant')
    expect((await world.ask(caller, { grant_type: grantType })).body.error).toBe('invalid_request')
  })
})

test('an instance that does not list the grant cannot use it', async () => {
  const plain = await world.caller('plain-client')
  const { status, body } = await world.ask(plain, { grant_type: grantType, assertion: encode(good()) })
  expect([status, body.error]).toEqual([400, 'unauthorized_client'])
})
