import { readFileSync } from 'node:fs'
import { parseIdocs } from '../../src/protocols/idoc/read-idocs.ts'
import { writeIdocs } from '../../src/protocols/idoc/write-idoc.ts'

/** Segments of the real MATMAS05 that stay, so that about 8 KB are left: what a change of a material carries. */
const kept = new Set(['E1MARAM', 'E1MAKTM', 'E1MARCM', 'E1MARMM', 'E1MBEWM', 'E1MLANM'])

/** Makes an IDoc of SAP's own sample with another number and another material for each call; about 8 KB. */
export function makeDocuments(): (number: number) => string {
  const sample = readFileSync(new URL('../../test/corpus/idoc/matmas05-material-3pl.xml', import.meta.url))
  const [idoc] = parseIdocs(sample)
  const [material] = idoc?.data.children ?? []
  if (!idoc || !material) throw new Error('The sample holds no material.')
  const children = material.children.filter(({ name }) => kept.has(name))
  const data = { ...idoc.data, children: [{ ...material, children }] }
  const text = writeIdocs([{ ...idoc, data }])
  const number = idoc.control.get('DOCNUM') ?? ''
  const matnr = material.fields.get('MATNR') ?? ''
  return count =>
    text.replaceAll(number, String(count).padStart(16, '0')).replaceAll(matnr, String(count % 500).padStart(18, '0'))
}
