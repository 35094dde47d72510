import { call } from './call.ts'
import { choose } from './choose.ts'
import { convert } from './convert.ts'
import { enrich } from './enrich.ts'
import { filter } from './filter.ts'
import { gather } from './gather.ts'
import { lookup } from './lookup.ts'
import { map } from './map.ts'
import { remember } from './remember.ts'
import { split } from './split.ts'
import { validate } from './validate.ts'

/** The steps that come with the hub. */
export const builtInSteps = [
  map,
  filter,
  choose,
  split,
  gather,
  enrich,
  call,
  validate,
  convert,
  remember,
  lookup,
] as const
