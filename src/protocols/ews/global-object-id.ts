/** What every global object id begins with (MS-OXOCAL section 2.2.1.27). */
const head = Buffer.from('040000008200e00074c5b7101a82e008', 'hex')

/**
 * The CleanGlobalObjectId of a UID, by which one meeting is found in every mailbox: the UID itself where Exchange made it
 * (hexadecimal, without the date of an occurrence), else wrapped as Exchange wraps those of other calendars.
 */
export function globalObjectId(uid: string): Buffer {
  if (/^([0-9a-f]{2}){40,}$/i.test(uid) && uid.toLowerCase().startsWith(head.toString('hex'))) {
    const bytes = Buffer.from(uid, 'hex')
    bytes.fill(0, 16, 20)
    return bytes
  }
  const data = Buffer.concat([Buffer.from('vCal-Uid\x01\0\0\0', 'latin1'), Buffer.from(uid, 'utf8'), Buffer.from([0])])
  const size = Buffer.alloc(4)
  size.writeUInt32LE(data.length)
  return Buffer.concat([head, Buffer.alloc(20), size, data])
}
