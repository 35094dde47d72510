import { z } from 'zod'
import type { Groupware } from '../groupware/organizations/groupware.ts'
import type { Profile } from '../groupware/organizations/model.ts'
import { describeRules, resolveRules } from '../groupware/organizations/rules-input.ts'
import {
  accessTestView,
  jobView,
  organizationView,
  profileView,
  viewJob,
  viewOrganization,
  viewProfile,
  viewTest,
} from './groupware-views.ts'
import { type ApiParts, type App, auditChange } from './parts.ts'

const tags = ['groupware']
const named = z.strictObject({ name: z.string().max(64) })
const revisionQuery = z.strictObject({ revision: z.coerce.number().int().min(0).optional() })
const settings = z.record(z.string(), z.unknown())

/** Organizations and profiles of the groupware sync. */
export function organizationRoutes(app: App, parts: ApiParts): void {
  const load = () => parts.groupware.load()
  const saved = z.object({ organization: organizationView, test: accessTestView.optional() })
  const updated = saved.extend({
    job: jobView.optional().meta({ description: 'Where the access is another one: how far the links have gone over.' }),
  })

  /** Saving tests the access, so that a mistake is told at once; what was saved stays saved. */
  async function savedAndTested(groupware: Groupware, name: string, isTested: boolean) {
    const { testMailbox } = groupware.organization(name)
    const canTest = testMailbox !== undefined || groupware.mailboxes(name).length > 0
    const test = isTested && canTest ? viewTest(await groupware.testOrganization(name)) : undefined
    return { organization: view(groupware, name), ...(test && { test }) }
  }

  app.get(
    '/api/organizations',
    {
      schema: {
        tags,
        summary: 'All organizations, and how their mailboxes are',
        response: { 200: z.object({ organizations: z.array(organizationView) }) },
      },
    },
    async () => {
      const groupware = await load()
      return { organizations: groupware.organizations().map(({ name }) => view(groupware, name)) }
    },
  )

  app.get(
    '/api/organizations/:name',
    { schema: { tags, summary: 'One organization', params: named, response: { 200: organizationView } } },
    async request => view(await load(), request.params.name),
  )

  app.post(
    '/api/organizations/:name',
    {
      schema: {
        tags,
        summary: 'Creates an organization, and tests its access where it names a mailbox',
        params: named,
        querystring: z.strictObject({ test: z.enum(['true', 'false']).default('true') }),
        body: settings,
        response: { 201: saved },
      },
    },
    async (request, reply) => {
      const groupware = await load()
      const { name } = request.params
      const { access, profile } = await groupware.createOrganization(name, request.body)
      await auditChange(parts, request, 'organization.create', { organization: name, access, profile })
      return reply.status(201).send(await savedAndTested(groupware, name, request.query.test === 'true'))
    },
  )

  app.put(
    '/api/organizations/:name',
    {
      schema: {
        tags,
        summary:
          'Saves all settings of an organization and tests its access; links are kept, also to another access type',
        params: named,
        querystring: revisionQuery.extend({ test: z.enum(['true', 'false']).default('true') }),
        body: settings,
        response: { 200: updated },
      },
    },
    async request => {
      const groupware = await load()
      const { name } = request.params
      const { organization, move } = await groupware.updateOrganization(name, request.body, request.query.revision)
      const { access, profile } = organization
      const job = move && { job: viewJob(move) }
      await auditChange(parts, request, 'organization.update', {
        organization: name,
        access,
        profile,
        ...(move && { job: move.id }),
      })
      return { ...(await savedAndTested(groupware, name, request.query.test === 'true')), ...job }
    },
  )

  app.delete(
    '/api/organizations/:name',
    {
      schema: {
        tags,
        summary: 'Deletes an organization without mailboxes',
        params: named,
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const groupware = await load()
      const { name } = request.params
      await groupware.removeOrganization(name)
      await auditChange(parts, request, 'organization.delete', { organization: name })
      return reply.status(204).send(null)
    },
  )

  for (const [action, isPaused, summary] of [
    ['pause', true, 'Syncs no mailbox of an organization until it is resumed'],
    ['resume', false, 'Syncs the mailboxes of an organization again'],
  ] as const) {
    app.post(
      `/api/organizations/:name/${action}`,
      { schema: { tags, summary, params: named, response: { 200: organizationView } } },
      async request => {
        const groupware = await load()
        const { name } = request.params
        await groupware.setPaused(name, isPaused)
        await auditChange(parts, request, `organization.${action}`, { organization: name })
        return view(groupware, name)
      },
    )
  }

  app.post(
    '/api/organizations/:name/test',
    {
      schema: {
        tags,
        summary: 'Tests the access with one mailbox, and says in words what is wrong',
        params: named,
        body: z.strictObject({ mailbox: z.string().max(254).optional() }),
        response: { 200: accessTestView },
      },
    },
    async request => viewTest(await (await load()).testOrganization(request.params.name, request.body.mailbox)),
  )

  app.get(
    '/api/profiles',
    {
      schema: { tags, summary: 'All profiles', response: { 200: z.object({ profiles: z.array(profileView) }) } },
    },
    async () => ({ profiles: (await load()).profiles().map(profileOf) }),
  )

  app.get(
    '/api/profiles/:name',
    { schema: { tags, summary: 'One profile', params: named, response: { 200: profileView } } },
    async request => {
      const groupware = await load()
      const profile = groupware.profile(request.params.name)
      return profileOf(profile)
    },
  )

  app.put(
    '/api/profiles/:name',
    {
      schema: {
        tags,
        summary: 'Writes a profile; it counts from the next round on',
        params: named,
        querystring: revisionQuery,
        body: settings,
        response: { 200: profileView },
      },
    },
    async request => {
      const groupware = await load()
      const { name } = request.params
      const profile = await groupware.writeProfile(name, request.body, request.query.revision)
      await auditChange(parts, request, 'profile.write', { profile: name })
      return profileOf(profile)
    },
  )

  app.delete(
    '/api/profiles/:name',
    {
      schema: {
        tags,
        summary: 'Deletes a profile that no organization uses',
        params: named,
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const groupware = await load()
      const { name } = request.params
      await groupware.removeProfile(name)
      await auditChange(parts, request, 'profile.delete', { profile: name })
      return reply.status(204).send(null)
    },
  )
}

function view(groupware: Groupware, name: string) {
  return viewOrganization(groupware, groupware.organization(name))
}

function profileOf(profile: Profile) {
  return viewProfile(profile, describeRules(resolveRules(profile.rules)))
}
