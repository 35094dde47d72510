/** A refusal as the service words it. */
export class C4CRefusal extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

export const refusals = {
  malformed: (text: string) => new C4CRefusal(400, 'OData.BadRequest', `Invalid request: ${text}`),
  forbidden: () => new C4CRefusal(403, 'OData.Forbidden', 'You are not authorized for this work center view'),
  noSet: (name: string) => new C4CRefusal(404, 'OData.NotFound', `Resource '${name}' not found`),
  noEntity: (name: string) => new C4CRefusal(404, 'OData.NotFound', `Requested entity could not be found: ${name}`),
  noProperty: (name: string, type: string) =>
    new C4CRefusal(400, 'OData.PropertyUnknown', `Invalid property '${name}' for type c4codata.${type}`),
  notCreatable: (name: string) =>
    new C4CRefusal(400, 'OData.PropertyNotCreatable', `Property ${name} is not creatable; remove it from the payload`),
  notUpdatable: (name: string) =>
    new C4CRefusal(400, 'OData.PropertyNotUpdatable', `Property ${name} is not updatable; remove it from the payload`),
  notFilterable: (name: string) =>
    new C4CRefusal(400, 'OData.PropertyNotFilterable', `Property ${name} is not filterable`),
  wrongValue: (name: string, value: string) =>
    new C4CRefusal(
      400,
      'OData.InvalidValue',
      `Error while parsing value '${value.slice(0, 80)}' of property '${name}'`,
    ),
  mandatory: (name: string) => new C4CRefusal(400, 'OData.MandatoryProperty', `Enter a value for property ${name}`),
  etagOld: () =>
    new C4CRefusal(412, 'OData.PreconditionFailed', 'Precondition failed: the entity was changed by another user'),
  readOnly: (name: string) => new C4CRefusal(405, 'OData.MethodNotAllowed', `${name} cannot be changed`),
  notAllowed: (method: string) => new C4CRefusal(405, 'OData.MethodNotAllowed', `Method ${method} is not allowed here`),
  notAcceptable: (type: string) =>
    new C4CRefusal(415, 'OData.UnsupportedMediaType', `The format ${type} is not supported`),
  duplicate: (name: string) => new C4CRefusal(400, 'OData.Duplicate', `${name} exists already`),
  zone: (code: string) => new C4CRefusal(400, 'OData.InvalidValue', `Time zone ${code} does not exist`),
} as const
