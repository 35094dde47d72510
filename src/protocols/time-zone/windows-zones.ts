import { DAY } from '../../kernel/time.ts'
import { offsetMinutesAt } from './local-time.ts'

/**
 * Names of time zones as Windows, Exchange and Microsoft Graph write them, with the zone of the IANA database that Unicode
 * CLDR (windowsZones, territory 001) gives for each.
 */
const table = `
Dateline Standard Time=Etc/GMT+12|UTC-11=Etc/GMT+11|Aleutian Standard Time=America/Adak
Hawaiian Standard Time=Pacific/Honolulu|Marquesas Standard Time=Pacific/Marquesas
Alaskan Standard Time=America/Anchorage|UTC-09=Etc/GMT+9|Pacific Standard Time (Mexico)=America/Tijuana
UTC-08=Etc/GMT+8|Pacific Standard Time=America/Los_Angeles|US Mountain Standard Time=America/Phoenix
Mountain Standard Time (Mexico)=America/Mazatlan|Mountain Standard Time=America/Denver
Yukon Standard Time=America/Whitehorse|Central America Standard Time=America/Guatemala
Central Standard Time=America/Chicago|Easter Island Standard Time=Pacific/Easter
Central Standard Time (Mexico)=America/Mexico_City|Canada Central Standard Time=America/Regina
SA Pacific Standard Time=America/Bogota|Eastern Standard Time (Mexico)=America/Cancun
Eastern Standard Time=America/New_York|Haiti Standard Time=America/Port-au-Prince|Cuba Standard Time=America/Havana
US Eastern Standard Time=America/Indiana/Indianapolis|Turks And Caicos Standard Time=America/Grand_Turk
Paraguay Standard Time=America/Asuncion|Atlantic Standard Time=America/Halifax
Venezuela Standard Time=America/Caracas|Central Brazilian Standard Time=America/Cuiaba
SA Western Standard Time=America/La_Paz|Pacific SA Standard Time=America/Santiago
Newfoundland Standard Time=America/St_Johns|Tocantins Standard Time=America/Araguaina
E. South America Standard Time=America/Sao_Paulo|SA Eastern Standard Time=America/Cayenne
Argentina Standard Time=America/Buenos_Aires|Greenland Standard Time=America/Godthab
Montevideo Standard Time=America/Montevideo|Magallanes Standard Time=America/Punta_Arenas
Saint Pierre Standard Time=America/Miquelon|Bahia Standard Time=America/Bahia|UTC-02=Etc/GMT+2
Azores Standard Time=Atlantic/Azores|Cape Verde Standard Time=Atlantic/Cape_Verde|UTC=Etc/UTC
GMT Standard Time=Europe/London|Greenwich Standard Time=Atlantic/Reykjavik
Sao Tome Standard Time=Africa/Sao_Tome|Morocco Standard Time=Africa/Casablanca
W. Europe Standard Time=Europe/Berlin|Central Europe Standard Time=Europe/Budapest
Romance Standard Time=Europe/Paris|Central European Standard Time=Europe/Warsaw
W. Central Africa Standard Time=Africa/Lagos|Jordan Standard Time=Asia/Amman|GTB Standard Time=Europe/Bucharest
Middle East Standard Time=Asia/Beirut|Egypt Standard Time=Africa/Cairo|E. Europe Standard Time=Europe/Chisinau
Syria Standard Time=Asia/Damascus|West Bank Standard Time=Asia/Hebron|South Africa Standard Time=Africa/Johannesburg
FLE Standard Time=Europe/Kiev|Israel Standard Time=Asia/Jerusalem|South Sudan Standard Time=Africa/Juba
Kaliningrad Standard Time=Europe/Kaliningrad|Sudan Standard Time=Africa/Khartoum
Libya Standard Time=Africa/Tripoli|Namibia Standard Time=Africa/Windhoek|Arabic Standard Time=Asia/Baghdad
Turkey Standard Time=Europe/Istanbul|Arab Standard Time=Asia/Riyadh|Belarus Standard Time=Europe/Minsk
Russian Standard Time=Europe/Moscow|E. Africa Standard Time=Africa/Nairobi|Iran Standard Time=Asia/Tehran
Arabian Standard Time=Asia/Dubai|Astrakhan Standard Time=Europe/Astrakhan|Azerbaijan Standard Time=Asia/Baku
Russia Time Zone 3=Europe/Samara|Mauritius Standard Time=Indian/Mauritius|Saratov Standard Time=Europe/Saratov
Georgian Standard Time=Asia/Tbilisi|Volgograd Standard Time=Europe/Volgograd|Caucasus Standard Time=Asia/Yerevan
Afghanistan Standard Time=Asia/Kabul|West Asia Standard Time=Asia/Tashkent
Ekaterinburg Standard Time=Asia/Yekaterinburg|Pakistan Standard Time=Asia/Karachi
Qyzylorda Standard Time=Asia/Qyzylorda|India Standard Time=Asia/Calcutta|Sri Lanka Standard Time=Asia/Colombo
Nepal Standard Time=Asia/Katmandu|Central Asia Standard Time=Asia/Bishkek|Bangladesh Standard Time=Asia/Dhaka
Omsk Standard Time=Asia/Omsk|Myanmar Standard Time=Asia/Rangoon|SE Asia Standard Time=Asia/Bangkok
Altai Standard Time=Asia/Barnaul|W. Mongolia Standard Time=Asia/Hovd|North Asia Standard Time=Asia/Krasnoyarsk
N. Central Asia Standard Time=Asia/Novosibirsk|Tomsk Standard Time=Asia/Tomsk|China Standard Time=Asia/Shanghai
North Asia East Standard Time=Asia/Irkutsk|Singapore Standard Time=Asia/Singapore
W. Australia Standard Time=Australia/Perth|Taipei Standard Time=Asia/Taipei
Ulaanbaatar Standard Time=Asia/Ulaanbaatar|Aus Central W. Standard Time=Australia/Eucla
Transbaikal Standard Time=Asia/Chita|Tokyo Standard Time=Asia/Tokyo|North Korea Standard Time=Asia/Pyongyang
Korea Standard Time=Asia/Seoul|Yakutsk Standard Time=Asia/Yakutsk|Cen. Australia Standard Time=Australia/Adelaide
AUS Central Standard Time=Australia/Darwin|E. Australia Standard Time=Australia/Brisbane
AUS Eastern Standard Time=Australia/Sydney|West Pacific Standard Time=Pacific/Port_Moresby
Tasmania Standard Time=Australia/Hobart|Vladivostok Standard Time=Asia/Vladivostok
Lord Howe Standard Time=Australia/Lord_Howe|Bougainville Standard Time=Pacific/Bougainville
Russia Time Zone 10=Asia/Srednekolymsk|Magadan Standard Time=Asia/Magadan|Norfolk Standard Time=Pacific/Norfolk
Sakhalin Standard Time=Asia/Sakhalin|Central Pacific Standard Time=Pacific/Guadalcanal
Russia Time Zone 11=Asia/Kamchatka|New Zealand Standard Time=Pacific/Auckland|UTC+12=Etc/GMT-12
Fiji Standard Time=Pacific/Fiji|Chatham Islands Standard Time=Pacific/Chatham|UTC+13=Etc/GMT-13
Tonga Standard Time=Pacific/Tongatapu|Samoa Standard Time=Pacific/Apia|Line Islands Standard Time=Pacific/Kiritimati`

const pairs = table
  .trim()
  .split(/[\n|]/)
  .map(pair => pair.split('=') as [windows: string, iana: string])
const toIana = new Map(pairs.map(([windows, iana]) => [windows.toLowerCase(), iana]))
const toWindows = new Map(pairs.map(([windows, iana]) => [iana, windows]))
// The names that Unicode keeps for zones whose cities are spelt otherwise today, and other ways to say UTC.
const sameZone: Readonly<Record<string, string>> = {
  UTC: 'UTC',
  GMT: 'UTC',
  'Etc/GMT': 'UTC',
  'Asia/Kolkata': 'India Standard Time',
  'Asia/Kathmandu': 'Nepal Standard Time',
  'Asia/Yangon': 'Myanmar Standard Time',
  'Europe/Kyiv': 'FLE Standard Time',
  'America/Nuuk': 'Greenland Standard Time',
  'America/Argentina/Buenos_Aires': 'Argentina Standard Time',
  'Europe/Vienna': 'W. Europe Standard Time',
  'Europe/Zurich': 'W. Europe Standard Time',
  'Europe/Rome': 'W. Europe Standard Time',
  'Europe/Amsterdam': 'W. Europe Standard Time',
  'Europe/Stockholm': 'W. Europe Standard Time',
  'Europe/Madrid': 'Romance Standard Time',
  'Europe/Brussels': 'Romance Standard Time',
  'Europe/Copenhagen': 'Romance Standard Time',
  'Europe/Dublin': 'GMT Standard Time',
  'Europe/Lisbon': 'GMT Standard Time',
  'Europe/Prague': 'Central Europe Standard Time',
  'Europe/Athens': 'GTB Standard Time',
  'Europe/Helsinki': 'FLE Standard Time',
}

/** All names that Windows has. */
export const windowsZones: readonly string[] = pairs.map(([windows]) => windows)

/** `W. Europe Standard Time` as `Europe/Berlin`; names of the IANA database stay; undefined for what is neither. */
export function ianaOfZone(name: string): string | undefined {
  const iana = toIana.get(name.toLowerCase())
  if (iana !== undefined) return iana === 'Etc/UTC' ? 'UTC' : iana
  if (/^(UTC|tzone:\/\/Microsoft\/Utc|Etc\/UTC|Z)$/i.test(name)) return 'UTC'
  return isZone(name) ? name : undefined
}

/** `Europe/Berlin` as `W. Europe Standard Time`: by name, else by the same clock all through this year and the next. */
export function windowsOfZone(iana: string): string | undefined {
  if (toIana.has(iana.toLowerCase())) return iana
  const known = sameZone[iana] ?? toWindows.get(iana) ?? byClock.get(iana)
  if (known !== undefined || !isZone(iana)) return known
  const wanted = clockOf(iana).join()
  const found = pairs.find(([, other]) => clockOf(other).join() === wanted)?.[0]
  if (found !== undefined) byClock.set(iana, found)
  return found
}

/** The zone whose clock differs least from one that is ahead of UTC by so many minutes; undefined where none is near. */
export function ianaOfClock(offsetMinutes: (ms: number) => number): string | undefined {
  const wanted = samples().map(offsetMinutes)
  let [found, fewest]: [string | undefined, number] = [undefined, differencesMax + 1]
  for (const [, iana] of pairs) {
    const differences = clockOf(iana).filter((offset, index) => offset !== wanted[index]).length
    if (differences < fewest) [found, fewest] = [iana, differences]
  }
  return found === undefined ? undefined : ianaOfZone(found)
}

const byClock = new Map<string, string>()
const clocks = new Map<string, readonly number[]>()

/** How far the clocks of a zone are ahead of UTC, in minutes, at each of the samples. */
function clockOf(iana: string): readonly number[] {
  let clock = clocks.get(iana)
  if (clock === undefined) {
    clock = samples().map(at => offsetMinutesAt(at, iana))
    clocks.set(iana, clock)
  }
  return clock
}

const sampleCount = 52
/** Rules that end a few weeks earlier or later are those of a neighbour, or of a former year. */
const differencesMax = 10
let firstSample: number | undefined

/** Every second week for two years from now on: what the clocks of a zone once did moves no appointment any more. */
function samples(): readonly number[] {
  firstSample ??= Math.ceil(Date.now() / DAY) * DAY
  const first = firstSample
  return Array.from({ length: sampleCount }, (_, index) => first + index * 14 * DAY)
}

function isZone(name: string): boolean {
  try {
    return offsetMinutesAt(0, name) !== undefined
  } catch {
    // Intl throws a RangeError for names that it does not know: that is the answer.
    return false
  }
}
