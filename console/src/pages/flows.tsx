import type { Flow } from '../api/types.ts'
import { useAnswer } from '../api/use-answer.ts'
import { flowColumns } from '../parts/counts.tsx'
import { Nothing } from '../parts/facts.tsx'
import { Shown } from '../parts/failure.tsx'
import { Card, Page } from '../parts/page.tsx'
import { useReloadDocuments } from '../parts/reload-documents.tsx'
import { Rows } from '../parts/rows.tsx'

/** All flows, also those of which only messages are left. */
export default function Flows() {
  const flows = useAnswer<{ flows: readonly Flow[] }>('/api/flows', 5_000)
  const documents = useReloadDocuments(() => flows.reload())
  return (
    <Page
      title="Flows"
      about="What carries messages from a sender through steps to receivers."
      actions={documents.button}
    >
      {documents.card}
      <Card title="All flows">
        <Shown of={flows}>
          {data => (
            <Rows
              name="Flows"
              columns={flowColumns}
              rows={data.flows}
              keyOf={flow => flow.name}
              toOf={flow => `/flows/${encodeURIComponent(flow.name)}`}
              none={
                <Nothing title="This hub has no flows yet.">Name a folder of flow documents in isthmus.yaml.</Nothing>
              }
            />
          )}
        </Shown>
      </Card>
    </Page>
  )
}
