/** Where a hub that lives notes so; one that is stopped removes it. What lives on in a copy of its store is another life. */
export const lifeRecord = { area: 'crash-watch', id: 'hub' } as const
