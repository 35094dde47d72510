/** Databases of the groupware sync, by their path in the data folder. */
export const bookFiles = { links: 'groupware/links.sqlite', log: 'groupware/log.sqlite' } as const
