/**
 * The mark that an item of a mailbox carries: the id of its half in the CRM. The property set is the product's own and is
 * never changed; EWS and Graph name it alike, so that a mailbox keeps its links when the way to it is another.
 */
export const crmMark = { set: '6f0e1c1e-7a5b-4c11-9d1e-69737468616d', name: 'CrmObjectId' } as const

/** The category by which people tell visits from other appointments; one that has it when it comes to the CRM becomes one. */
export const visitCategory = 'Visit'

/** What a new appointment of a mailbox becomes in the CRM; from then on it is what it became. */
export function activityOf(categories: readonly string[]): 'appointment' | 'visit' {
  return categories.includes(visitCategory) ? 'visit' : 'appointment'
}

/** The application that a task of To Do names as the other end of its link; To Do has no extended properties. */
export const crmApplication = 'SAP Cloud for Customer'
