import { listMeters } from '../../monitor/metrics.ts'

/** Every meter of the hub with its labels and what it says. */
export function metricsPage(): string {
  const rows = listMeters().map(
    ({ name, type, labels, help }) => `| \`${name}\` | ${type} | ${labels.join(', ')} | ${help} |\n`,
  )
  return `# Metrics

What \`GET /metrics\` of the admin API says to Prometheus, with the right \`MonitoringDataRead\`; how to read it, and what to be
woken for, says [monitoring](../guides/monitoring.md). Counters begin at 0 with each start of the hub; gauges of flows, links,
locations and organizations that are gone are gone, too. A hub that stands by has none.

| metric | type | labels | what it says |
| --- | --- | --- | --- |
${rows.join('')}
Beside them stand those of the process (\`isthmus_process_…\`: CPU, memory, open files, start) and of Node
(\`isthmus_nodejs_…\`: delay of the event loop, heap, garbage collection), as [prom-client](https://github.com/siimon/prom-client)
defines them.
`
}
