import { kindNamed } from './schema.ts'
import type { EntityStore } from './store.ts'

const departments = ['Purchasing', 'Sales', 'Production', 'Logistics', 'Finance', 'Research']
const cities = ['Walldorf', 'Frankfurt', 'Zürich', "L'Aquila", 'Graz']

/** So many cost centres in company codes 1010 (DE) and 1710 (US), with texts in two languages and a budget each. */
export function seedCostCentres(store: EntityStore, count: number): void {
  const [centres, texts, budgets] = [
    kindNamed('A_CostCenter'),
    kindNamed('A_CostCenterText'),
    kindNamed('A_CostCenterBudget'),
  ]
  for (let index = 0; index < count; index++) {
    const isGerman = index % 2 === 0
    const department = departments[index % departments.length] ?? 'Sales'
    const key = {
      ControllingArea: 'A000',
      CostCenter: `${isGerman ? '1010' : '1710'}${String(1001 + index).padStart(4, '0')}`,
      ValidityEndDate: '9999-12-31',
    }
    store.put(centres, {
      ...key,
      ValidityStartDate: '2020-01-01',
      CompanyCode: isGerman ? '1010' : '1710',
      BusinessArea: '',
      CostCtrResponsiblePersonName: `Person ${index + 1}`,
      CostCenterCurrency: isGerman ? 'EUR' : 'USD',
      ProfitCenter: isGerman ? 'YB110' : 'YB111',
      Department: department,
      Country: isGerman ? 'DE' : 'US',
      CityName: cities[index % cities.length] ?? '',
      CostCenterCategory: department === 'Production' ? 'F' : 'H',
      IsBlkdForPrimaryCostsPosting: '',
      Language: isGerman ? 'DE' : 'EN',
      CostCenterCreationDate: '2020-01-01',
    })
    for (const language of ['DE', 'EN']) {
      store.put(texts, {
        ...key,
        Language: language,
        ValidityStartDate: '2020-01-01',
        CostCenterName: `${department} ${index + 1}`,
        CostCenterDescription: `${language === 'DE' ? 'Kostenstelle' : 'Cost centre'} ${department} ${index + 1}`,
      })
    }
    store.put(budgets, {
      BudgetUUID: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
      ControllingArea: key.ControllingArea,
      CostCenter: key.CostCenter,
      FiscalYear: 2026,
      // More digits than a double holds, so that a client which loses some is found out.
      PlannedAmount: `12345678901234567${index % 10}.125`,
      DocumentCount: `90071992547409${String(93 + index)}`,
      IsReleased: index % 3 === 0,
      LastChangeDateTime: '2026-11-20T09:00:00.000Z',
      ClosingTime: '18:30:00',
    })
  }
}
