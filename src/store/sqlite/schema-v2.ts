/** Version 2: key maps, what flows keep of a key over messages. */
export const schemaV2 = `
create table key_map (
  map text not null,
  key text not null,
  value text not null,
  revision integer not null,
  at integer not null,
  primary key (map, key)
) strict, without rowid
`
