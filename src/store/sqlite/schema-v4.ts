/**
 * Version 4: the index of words follows the deliveries (term-index.ts). Up to here it has all; a program that does not know
 * of it would not find what came last.
 */
export const schemaV4 = `
insert into fact select 'terms.indexed', cast(coalesce(max(seq), 0) as text) from delivery
`
