/** Everything that a mapping spec beside a flow document needs. */
export { defineMapping } from './mapping.ts'
export type { Rule } from './rule.ts'
export { anyOf, compute, constant, documentField, each, field, firstOf, join, number, pick, setting } from './rules.ts'
export { boolean, choice, date, dateTime, decimal, integer, list, lookup, text, time } from './target.ts'
export type { TextRule } from './text-rule.ts'
