import { compute, type Rule, type TextRule } from 'isthmus/mapping'

/** Names of regions by country (table T005U, which each company may change); what is not listed stays its key. */
const regions: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  AT: names(
    'B Burgenland|K Carinthia|NÖ Lower Austria|OÖ Upper Austria|S Salzburg|ST Styria|T Tyrol|V Vorarlberg|W Vienna',
  ),
  CA: names(
    'AB Alberta|BC British Columbia|MB Manitoba|NB New Brunswick|NL Newfoundland and Labrador|NS Nova Scotia|NT Northwest Territories|NU Nunavut|ON Ontario|PE Prince Edward Island|QC Quebec|SK Saskatchewan|YT Yukon',
  ),
  CH: names(
    'AG Aargau|AI Appenzell Innerrhoden|AR Appenzell Ausserrhoden|BE Bern|BL Basel-Landschaft|BS Basel-Stadt|FR Fribourg|GE Geneva|GL Glarus|GR Graubünden|JU Jura|LU Lucerne|NE Neuchâtel|NW Nidwalden|OW Obwalden|SG St. Gallen|SH Schaffhausen|SO Solothurn|SZ Schwyz|TG Thurgau|TI Ticino|UR Uri|VD Vaud|VS Valais|ZG Zug|ZH Zurich',
  ),
  DE: names(
    '01 Schleswig-Holstein|02 Hamburg|03 Lower Saxony|04 Bremen|05 North Rhine-Westphalia|06 Hesse|07 Rhineland-Palatinate|08 Baden-Württemberg|09 Bavaria|10 Saarland|11 Berlin|12 Brandenburg|13 Mecklenburg-Western Pomerania|14 Saxony|15 Saxony-Anhalt|16 Thuringia',
  ),
  US: names(
    'AK Alaska|AL Alabama|AR Arkansas|AZ Arizona|CA California|CO Colorado|CT Connecticut|DC District of Columbia|DE Delaware|FL Florida|GA Georgia|HI Hawaii|IA Iowa|ID Idaho|IL Illinois|IN Indiana|KS Kansas|KY Kentucky|LA Louisiana|MA Massachusetts|MD Maryland|ME Maine|MI Michigan|MN Minnesota|MO Missouri|MS Mississippi|MT Montana|NC North Carolina|ND North Dakota|NE Nebraska|NH New Hampshire|NJ New Jersey|NM New Mexico|NV Nevada|NY New York|OH Ohio|OK Oklahoma|OR Oregon|PA Pennsylvania|RI Rhode Island|SC South Carolina|SD South Dakota|TN Tennessee|TX Texas|UT Utah|VA Virginia|VT Vermont|WA Washington|WI Wisconsin|WV West Virginia|WY Wyoming',
  ),
}

/** The name of a region, which is a key of its country (06 in DE is Hesse). */
export function regionName(country: TextRule, region: TextRule): Rule<string> {
  return compute([country, region], 'name of the region by country, else its key', (land, key) =>
    typeof key === 'string' ? (regions[land ?? '']?.[key] ?? key) : key,
  )
}

/** `06 Hesse|07 …` by key. */
function names(list: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    list.split('|').map(entry => [entry.slice(0, entry.indexOf(' ')), entry.slice(entry.indexOf(' ') + 1)]),
  )
}
