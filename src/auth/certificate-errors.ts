import { defineErrors } from '../kernel/error.ts'

export const certificateErrors = defineErrors('CERTIFICATE', {
  REQUEST_REFUSED: {
    side: 'caller',
    retry: 'never',
    means: 'No certificate can be made from this {what}: {reason}.',
    next: 'Make a key on the curve P-256 (or RSA with 2048 bits and more) and a request that it signed itself.',
  },
  DAYS_REFUSED: {
    side: 'caller',
    retry: 'never',
    means: 'A certificate cannot be valid for {days} days.',
    next: 'Ask for 1 to {daysMax} days.',
  },
  UNKNOWN: {
    side: 'caller',
    retry: 'never',
    means: 'The hub has issued no certificate with the serial number {serial}.',
    next: 'Look at the list of issued certificates; the serial number is written in hexadecimal digits.',
  },
  NOT_OURS: {
    side: 'caller',
    retry: 'never',
    means: 'The certificate of {subject} was not issued by this hub for this use: {reason}.',
    next: 'Use the certificate that this hub issued; after a move of the hub to a new database, enrol or create the key anew.',
  },
  NOT_VALID_NOW: {
    side: 'caller',
    retry: 'never',
    means: 'The certificate of {subject} is valid from {from} to {to} only.',
    next: 'Check the clocks of both machines; a certificate that has ended needs a new enrolment or a new key.',
  },
  REVOKED: {
    side: 'caller',
    retry: 'never',
    means: 'The certificate of {subject} was revoked.',
    next: 'Whoever revoked it stands in the audit log; enrol anew or create a new key if it may come back.',
  },
})
