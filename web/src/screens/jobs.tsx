// Pulls, pushes and creates of models.
import { useLive } from "../lib/live.ts";
import * as as from "../lib/format.ts";
import { full, time } from "../lib/time.ts";
import { why, type Unknown } from "../lib/unknown.ts";
import { Empty, Loaded, NoHistory, Panel } from "../parts/panel.tsx";
import { Meter } from "../parts/meter.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { Chip, Value, type Tone } from "../parts/value.tsx";

interface Active {
  id: string;
  name: string;
  type: string;
  status: string;
  progress: number | null;
  started_at: string;
  estimated_completion: string | null;
  backend: string | null;
  bytes_done: number | null;
  bytes_total: number | null;
  bytes_per_second: number | null;
  step: string | null;
}

interface Ended {
  id: string;
  name: string;
  type: string;
  status: string;
  started_at: string;
  completed_at: string | null;
  results: { bytes: number | null; error: string | null };
}

interface Scheduled {
  id: string;
  name: string;
  schedule: string;
  next_run: string | null;
  enabled: boolean;
}

interface Answer {
  active_jobs: Active[];
  completed_jobs: Ended[] | null;
  scheduled_jobs: Scheduled[];
  unknown?: Unknown;
}

const TONES: Record<string, Tone> = { completed: "good", failed: "bad", cancelled: "quiet", lost: "warn" };

const ENDED: Column<Ended>[] = [
  { name: "job", class: "name", cell: (one) => one.name },
  { name: "how it ended", cell: (one) => <Chip tone={TONES[one.status] ?? "quiet"}>{one.status}</Chip> },
  { name: "began", cell: (one) => <span title={full(one.started_at)}>{time(one.started_at)}</span> },
  {
    name: "took", number: true,
    cell: (one) => <Value of={one.completed_at} as={(at) => as.duration(Date.parse(at) - Date.parse(one.started_at))} why="When it ended is not known." />,
  },
  { name: "bytes", number: true, cell: (one) => <Value of={one.results.bytes} as={as.bytes} why="Its backend did not report it." /> },
  { name: "error", cell: (one) => one.results.error ?? "" },
];

const OWN: Column<Scheduled>[] = [
  { name: "job", class: "name", cell: (one) => one.name },
  { name: "schedule", cell: (one) => <code>{one.schedule}</code> },
  { name: "next", cell: (one) => <Value of={one.next_run} as={time} why="The history is off or paused, or has just begun." /> },
  { name: "state", cell: (one) => (one.enabled ? "on" : "off") },
];

export function Jobs() {
  const found = useLive<Answer>("jobs");
  return (
    <>
      <Panel title="Running" window="now" note={found.data ? String(found.data.active_jobs.length) : ""}>
        <Loaded of={found}>
          {(answer) => (answer.active_jobs.length === 0
            ? <Empty>Nothing is pulled, pushed or created. A pull through the proxy, such as <code>ollama pull</code>, is shown here with its progress.</Empty>
            : <ul class="cards">{answer.active_jobs.map((one, at) => <Running key={one.id} job={one} reason={(field) => why(answer, `/active_jobs/${at}/${field}`)} />)}</ul>)}
        </Loaded>
      </Panel>
      <Panel title="Ended" csv="/dashboard/jobs?format=csv">
        <Loaded of={found}>
          {(answer) => (answer.completed_jobs === null
            ? <Empty><NoHistory /></Empty>
            : <Table caption="Jobs that are over" columns={ENDED} rows={answer.completed_jobs} id={(one) => one.id} empty="No job has ended." />)}
        </Loaded>
      </Panel>
      <Panel title="The program's own">
        <Loaded of={found}>
          {(answer) => <Table caption="The program's own jobs" columns={OWN} rows={answer.scheduled_jobs} id={(one) => one.id} empty="There is none." />}
        </Loaded>
      </Panel>
    </>
  );
}

function Running({ job, reason }: { job: Active; reason: (field: string) => string }) {
  return (
    <li class="card">
      <header><b class="name">{job.name}</b> <Chip tone="quiet">{job.step ?? job.status}</Chip></header>
      <Meter kind="left" label="" of={job.progress === null ? null : job.progress * 100} why={reason("progress")} />
      <dl>
        <div><dt>done</dt><dd><Value of={job.bytes_done} as={as.bytes} why={reason("bytes_done")} />{job.bytes_total !== null && ` of ${as.bytes(job.bytes_total)}`}</dd></div>
        <div><dt>pace</dt><dd><Value of={job.bytes_per_second} as={(value) => `${as.bytes(value)}/s`} why={reason("bytes_per_second")} /></dd></div>
        <div><dt>ready at</dt><dd><Value of={job.estimated_completion} as={time} why={reason("estimated_completion")} /></dd></div>
        <div><dt>backend</dt><dd><Value of={job.backend} why={reason("backend")} /></dd></div>
      </dl>
    </li>
  );
}
