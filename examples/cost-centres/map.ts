/** A cost centre as API_COSTCENTER_SRV shows it, texts along. */
interface SapCostCentre {
  readonly CostCenter: string
  readonly ControllingArea: string
  readonly CompanyCode: string
  readonly ValidityStartDate: string | null
  readonly ValidityEndDate: string
  readonly Department: string
  readonly to_Text?: readonly { readonly Language: string; readonly CostCenterName: string }[]
}

export interface CostCentre {
  readonly id: string
  readonly area: string
  readonly company: string
  /** Names by language (`EN`). */
  readonly names: Readonly<Record<string, string>>
  readonly department: string | null
  /** Days, both included. A cost centre without an end has none. */
  readonly from: string | null
  readonly to: string | null
}

/** What callers get: days without times, no texts where SAP keeps initial values. */
export default function toCostCentres({ value }: { readonly value: readonly SapCostCentre[] }): {
  readonly costCentres: readonly CostCentre[]
} {
  return { costCentres: value.map(toCostCentre) }
}

function toCostCentre(given: SapCostCentre): CostCentre {
  const names = (given.to_Text ?? []).map(({ Language, CostCenterName }) => [Language, CostCenterName] as const)
  return {
    id: given.CostCenter,
    area: given.ControllingArea,
    company: given.CompanyCode,
    names: Object.fromEntries(names),
    department: given.Department === '' ? null : given.Department,
    from: dayOf(given.ValidityStartDate),
    to: dayOf(given.ValidityEndDate),
  }
}

/** SAP writes "without end" as the last day of the year 9999. */
function dayOf(at: string | null): string | null {
  const day = at?.slice(0, 10) ?? null
  return day === '9999-12-31' ? null : day
}
