import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { CalendarClock, Ellipsis, Pause, Pencil, Play, Plus, Trash2, Zap } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { call } from "@/api/client";
import { useForbidden, useProject } from "@/app/identity";
import { PageHeader } from "@/app/PageHeader";
import { SteerButton } from "@/app/SteerButton";
import { Badge } from "@/design/Badge";
import { Button } from "@/design/Button";
import { Dialog } from "@/design/Dialog";
import { duration, moment } from "@/design/format";
import { Loaded } from "@/design/Loaded";
import { Menu, MenuItem } from "@/design/Menu";
import { EmptyState } from "@/design/states";
import { Table } from "@/design/Table";
import { toast, toastError } from "@/design/Toast";
import { useNow } from "@/hooks/useNow";
import type { Schedule } from "./ScheduleDialog";

const READ_MS = 5_000;
const ScheduleDialog = lazy(() =>
  import("./ScheduleDialog").then((module) => ({ default: module.ScheduleDialog })),
);

type Asked = { what: "edit" | "delete"; schedule: Schedule } | { what: "new" };

export default function SchedulesPage() {
  const project = useProject()?.id;
  const client = useQueryClient();
  const [asked, setAsked] = useState<Asked | null>(null);
  const query = useQuery({
    queryKey: ["schedules", project],
    queryFn: ({ signal }) =>
      call("get", "/projects/{ref}/schedules", {
        path: { ref: project ?? "" },
        signal,
      }),
    enabled: project !== undefined,
    refetchInterval: READ_MS,
  });
  const refresh = (): void => void client.invalidateQueries({ queryKey: ["schedules"] });
  const close = (): void => setAsked(null);
  const create = (
    <SteerButton tone="primary" icon={<Plus className="size-4" />} onClick={() => setAsked({ what: "new" })}>
      New schedule
    </SteerButton>
  );
  return (
    <>
      <PageHeader title="Schedules" actions={create} />
      <div className="min-h-0 flex-1 overflow-auto px-4 pb-6 sm:px-6">
        <Loaded query={query}>
          {({ schedules }) =>
            schedules.length === 0 ? (
              <EmptyState
                icon={<CalendarClock className="size-6" />}
                title="No schedules yet"
                action={create}
              >
                A schedule starts runs by the clock.
              </EmptyState>
            ) : (
              <ScheduleTable schedules={schedules} onAsk={setAsked} onDone={refresh} />
            )
          }
        </Loaded>
      </div>
      {project && asked && asked.what !== "delete" ? (
        <Suspense>
          <ScheduleDialog
            project={project}
            schedule={asked.what === "edit" ? asked.schedule : undefined}
            onClose={close}
            onSaved={refresh}
          />
        </Suspense>
      ) : null}
      {asked?.what === "delete" ? (
        <DeleteDialog schedule={asked.schedule} onClose={close} onDone={refresh} />
      ) : null}
    </>
  );
}

interface ScheduleTableProps {
  schedules: readonly Schedule[];
  onAsk: (asked: Asked) => void;
  onDone: () => void;
}

function ScheduleTable({ schedules, onAsk, onDone }: ScheduleTableProps) {
  const now = useNow(true);
  return (
    <div className="rounded-lg border border-line bg-surface">
      <Table
        label="Schedules"
        rows={schedules}
        keyOf={(schedule) => schedule.id}
        columns={[
          { header: "Name", cell: (one) => <Name of={one} />, className: "min-w-48" },
          {
            header: "State",
            cell: (one) =>
              one.status === "active" ? (
                <Badge tone="good">Active</Badge>
              ) : (
                <Badge tone="waiting">Paused</Badge>
              ),
          },
          { header: "When", cell: (one) => <When of={one} />, className: "whitespace-nowrap" },
          { header: "Next fire", cell: (one) => <Next of={one} now={now} />, className: "whitespace-nowrap" },
          { header: "Last run", cell: (one) => <Last of={one} />, className: "max-w-56" },
          { header: "Runs", cell: (one) => one.run_count, numeric: true },
          {
            header: "Actions",
            buttons: true,
            cell: (one) => <Actions of={one} onAsk={onAsk} onDone={onDone} />,
          },
        ]}
      />
    </div>
  );
}

function Name({ of }: { of: Schedule }) {
  return (
    <>
      <div className="font-medium">{of.name}</div>
      <div className="font-mono text-xs text-muted">
        {of.target.kind}:{of.target.id}
      </div>
    </>
  );
}

function When({ of }: { of: Schedule }) {
  return (
    <>
      <div className="font-mono text-xs">{of.cron}</div>
      <div className="text-xs text-muted">{of.time_zone}</div>
    </>
  );
}

function Next({ of, now }: { of: Schedule; now: number }) {
  if (of.status !== "active" || of.next_fire_at === null) return <span className="text-faint">–</span>;
  const left = Date.parse(of.next_fire_at) - now;
  return (
    <>
      <div>{left > 0 ? `in ${duration(Math.ceil(left / 1_000) * 1_000)}` : "now"}</div>
      <div className="text-xs text-muted">{moment(of.next_fire_at)}</div>
    </>
  );
}

function Last({ of }: { of: Schedule }) {
  if (of.last_error) return <span className="text-xs text-bad">{of.last_error}</span>;
  if (of.last_run_id === null) return <span className="text-faint">–</span>;
  return (
    <Link
      to="/runs/$runId"
      params={{ runId: of.last_run_id }}
      className="block truncate font-mono text-xs text-accent-ink hover:underline"
    >
      {of.last_run_id}
    </Link>
  );
}

function Actions({ of, onAsk, onDone }: { of: Schedule; onAsk: (asked: Asked) => void; onDone: () => void }) {
  const [busy, setBusy] = useState(false);
  const forbidden = useForbidden() !== undefined;
  const active = of.status === "active";
  const path = { ref: of.project_id, schedule_id: of.id };
  const act = async (work: () => Promise<void>): Promise<void> => {
    setBusy(true);
    try {
      await work();
      onDone();
    } catch (error) {
      toastError(error);
    } finally {
      setBusy(false);
    }
  };
  const change = () =>
    act(async () => {
      const status = active ? "paused" : "active";
      await call("patch", "/projects/{ref}/schedules/{schedule_id}", { path, body: { status } });
    });
  const trigger = () =>
    act(async () => {
      const body = { run_name: `${of.name}, by hand`.slice(0, 200), idempotency_key: newKey() };
      await call("post", "/projects/{ref}/schedules/{schedule_id}/runs", { path, body });
      toast(`Started a run of ${of.name}`);
    });
  return (
    <span className="flex justify-end gap-1.5">
      <SteerButton
        busy={busy}
        aria-label={`Trigger ${of.name} now`}
        icon={<Zap className="size-3.5" />}
        onClick={trigger}
      >
        Trigger
      </SteerButton>
      <SteerButton
        busy={busy}
        aria-label={`${active ? "Pause" : "Resume"} ${of.name}`}
        icon={active ? <Pause className="size-3.5" /> : <Play className="size-3.5" />}
        onClick={change}
      >
        {active ? "Pause" : "Resume"}
      </SteerButton>
      <Menu
        align="end"
        trigger={<Button aria-label={`More of ${of.name}`} icon={<Ellipsis className="size-4" />} />}
      >
        <MenuItem
          disabled={forbidden}
          icon={<Pencil className="size-4 text-muted" />}
          onSelect={() => onAsk({ what: "edit", schedule: of })}
        >
          Edit
        </MenuItem>
        <MenuItem
          danger
          disabled={forbidden}
          icon={<Trash2 className="size-4" />}
          onSelect={() => onAsk({ what: "delete", schedule: of })}
        >
          Delete
        </MenuItem>
      </Menu>
    </span>
  );
}

/** Not `randomUUID`, which browsers keep from pages that come over plain HTTP from another machine. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(16)).join("-");
}

interface DeleteDialogProps {
  schedule: Schedule;
  onClose: () => void;
  onDone: () => void;
}

function DeleteDialog({ schedule, onClose, onDone }: DeleteDialogProps) {
  const remove = async (): Promise<void> => {
    const path = { ref: schedule.project_id, schedule_id: schedule.id };
    try {
      await call("delete", "/projects/{ref}/schedules/{schedule_id}", { path });
      onDone();
    } catch (error) {
      toastError(error);
    } finally {
      onClose();
    }
  };
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title={`Delete ${schedule.name}?`}
      description="It starts no more runs. Those that it has started stay."
      actions={
        <>
          <Button onClick={onClose}>Keep it</Button>
          <Button tone="danger" onClick={remove}>
            Delete
          </Button>
        </>
      }
    >
      <p className="font-mono text-xs">
        {schedule.cron} {schedule.time_zone}
      </p>
    </Dialog>
  );
}
