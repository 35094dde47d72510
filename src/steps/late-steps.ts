/** The steps that come with the hub. */
export const lateSteps = {
  map: async () => (await import('./map.ts')).map,
  filter: async () => (await import('./filter.ts')).filter,
  choose: async () => (await import('./choose.ts')).choose,
  split: async () => (await import('./split.ts')).split,
  gather: async () => (await import('./gather.ts')).gather,
  enrich: async () => (await import('./enrich.ts')).enrich,
  call: async () => (await import('./call.ts')).call,
  validate: async () => (await import('./validate.ts')).validate,
  convert: async () => (await import('./convert.ts')).convert,
  remember: async () => (await import('./remember.ts')).remember,
  lookup: async () => (await import('./lookup.ts')).lookup,
}
