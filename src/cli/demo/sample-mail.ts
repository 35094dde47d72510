/** An order or an invoice as a customer would mail it; every third one carries an attachment. */
export function sampleMail(
  number: number,
  to: string,
  now: number,
): { readonly subject: string; readonly bytes: Buffer } {
  const what = to.startsWith('invoices') ? 'Invoice' : 'Order'
  const subject = `${what} ${4_711_000 + number}`
  const customer = customers[number % customers.length] ?? customers[0]
  const headers = [
    `Return-Path: <${customer.address}>`,
    `Received: from mx.${customer.domain} (203.0.113.${number % 250}) by mail.contoso.com; ${rfcDate(now)}`,
    `From: ${customer.name} <${customer.address}>`,
    `To: <${to}>`,
    `Subject: ${subject}`,
    `Date: ${rfcDate(now)}`,
    `Message-ID: <${number}.${now}@${customer.domain}>`,
    'MIME-Version: 1.0',
  ]
  const text = `Dear colleagues,\r\n\r\nplease find ${subject} below.\r\n\r\n10  MAT-${1000 + number}  ${number % 90} pcs\r\n.\r\n`
  if (number % 3 !== 0) {
    return {
      subject,
      bytes: Buffer.from([...headers, 'Content-Type: text/plain; charset=utf-8', '', text].join('\r\n')),
    }
  }
  const boundary = `part-${number}`
  const lines = [
    ...headers,
    `Content-Type: multipart/mixed; boundary="${boundary}"`,
    '',
    `--${boundary}`,
    'Content-Type: text/plain; charset=utf-8',
    '',
    text,
    `--${boundary}`,
    `Content-Type: application/pdf; name="${subject}.pdf"`,
    'Content-Transfer-Encoding: base64',
    `Content-Disposition: attachment; filename="${subject}.pdf"`,
    '',
    ...(Buffer.alloc(20_000 + (number % 7) * 9_000, `${subject};`)
      .toString('base64')
      .match(/.{1,76}/g) ?? []),
    `--${boundary}--`,
    '',
  ]
  return { subject, bytes: Buffer.from(lines.join('\r\n')) }
}

interface Customer {
  readonly name: string
  readonly address: string
  readonly domain: string
}

const customers: readonly [Customer, ...Customer[]] = [
  { name: 'Adatum Purchasing', address: 'purchasing@adatum.example', domain: 'adatum.example' },
  { name: 'Fabrikam', address: 'orders@fabrikam.example', domain: 'fabrikam.example' },
  { name: 'Litware Einkauf', address: 'einkauf@litware.example', domain: 'litware.example' },
]

function rfcDate(now: number): string {
  return new Date(now).toUTCString().replace('GMT', '+0000')
}
