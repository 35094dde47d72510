import { expect, test } from 'vitest'
import { readEwsXml } from '../../protocols/ews/read-xml.ts'
import { namespaces } from '../../protocols/ews/write-xml.ts'
import { readMail } from './mail.ts'

test('files and mails within a mail are its attachments; a link to a file in OneDrive has no bytes to carry', () => {
  const attachment = (kind: string, name: string) =>
    `<t:${kind}><t:AttachmentId Id="${name}"/><t:Name>${name}</t:Name><t:Size>5</t:Size></t:${kind}>`
  const attachments = [
    attachment('FileAttachment', 'offer.pdf'),
    attachment('ItemAttachment', 'Re: offer'),
    attachment('ReferenceAttachment', 'film.mp4'),
  ]
  const xml = `<t:Message xmlns:t="${namespaces.types}"><t:Attachments>${attachments.join('')}</t:Attachments></t:Message>`
  expect(readMail(readEwsXml(xml), 'anna@x.example').attachments.map(({ name, type }) => [name, type])).toEqual([
    ['offer.pdf', 'application/octet-stream'],
    ['Re: offer', 'message/rfc822'],
  ])
})
