import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { call } from "@/api/client";
import { messageOf } from "@/api/problem";
import type { Answer, Body } from "@/api/types";
import { Button } from "@/design/Button";
import { Dialog } from "@/design/Dialog";
import { Field, INPUT, Input } from "@/design/Field";
import { JsonControl } from "@/design/JsonControl";
import { inZone, nextFires } from "./preview";

export type Schedule = Answer<"/projects/{ref}/schedules", "get">["schedules"][number];
type CreateBody = Body<"/projects/{ref}/schedules", "post">;
type TargetKind = CreateBody["target"]["kind"];

const ZONES = ["UTC", ...Intl.supportedValuesOf("timeZone").filter((zone) => zone !== "UTC")];
const POLICIES = [
  ["Allow", "Start another"],
  ["Forbid", "Start none"],
  ["Replace", "Cancel them, and start"],
] as const;

export interface ScheduleDialogProps {
  project: string;
  /** The one to change; without it a new one is made. */
  schedule?: Schedule | undefined;
  onClose: () => void;
  onSaved: () => void;
}

export function ScheduleDialog({ project, schedule, onClose, onSaved }: ScheduleDialogProps) {
  const [name, setName] = useState(schedule?.name ?? "");
  const [target, setTarget] = useState(schedule ? `${schedule.target.kind}:${schedule.target.id}` : "");
  const [cron, setCron] = useState(schedule?.cron ?? "0 8 * * 1-5");
  const [zone, setZone] = useState(schedule?.time_zone ?? localZone());
  const [concurrency, setConcurrency] = useState(schedule?.concurrency ?? "Allow");
  const [given, setGiven] = useState<unknown>(schedule ? givenTo(schedule) : undefined);
  const [error, setError] = useState<string>();
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    const [kind, id] = splitTarget(target);
    const value = (given ?? null) as Record<string, never> | null;
    const body: CreateBody = {
      name,
      cron,
      time_zone: zone,
      concurrency,
      // One that was not changed keeps what is not shown here, such as its conversation.
      target: schedule?.target.kind === kind && schedule.target.id === id ? schedule.target : { kind, id },
      ...(kind === "task" ? { config: value } : { input: value }),
    };
    try {
      if (schedule) {
        const path = { ref: project, schedule_id: schedule.id };
        await call("patch", "/projects/{ref}/schedules/{schedule_id}", { path, body });
      } else {
        await call("post", "/projects/{ref}/schedules", { path: { ref: project }, body });
      }
      onSaved();
      onClose();
    } catch (problem) {
      setError(messageOf(problem));
      setBusy(false);
    }
  };
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title={schedule ? `Edit ${schedule.name}` : "New schedule"}
      actions={
        <>
          <Button onClick={onClose}>Close</Button>
          <Button type="submit" form="schedule" tone="primary" busy={busy}>
            Save
          </Button>
        </>
      }
    >
      <form id="schedule" onSubmit={submit} className="flex flex-col gap-4">
        <Field label="Name" htmlFor="schedule-name">
          <Input
            id="schedule-name"
            required
            maxLength={200}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        </Field>
        <TargetField target={target} onChange={setTarget} />
        <div className="grid gap-4 sm:grid-cols-2">
          <Field label="Cron expression" htmlFor="schedule-cron" hint="Minute, hour, day, month, weekday.">
            <Input
              id="schedule-cron"
              required
              spellCheck={false}
              value={cron}
              onChange={(event) => setCron(event.target.value)}
              className="font-mono"
            />
          </Field>
          <Field label="Time zone" htmlFor="schedule-zone">
            <select
              id="schedule-zone"
              value={zone}
              onChange={(event) => setZone(event.target.value)}
              className={INPUT}
            >
              {[...new Set([zone, ...ZONES])].map((one) => (
                <option key={one}>{one}</option>
              ))}
            </select>
          </Field>
        </div>
        <Preview cron={cron} zone={zone} />
        <Field label="While an earlier run goes on" htmlFor="schedule-concurrency">
          <select
            id="schedule-concurrency"
            value={concurrency}
            onChange={(event) => setConcurrency(event.target.value as Schedule["concurrency"])}
            className={INPUT}
          >
            {POLICIES.map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        </Field>
        <Field label="Input (optional)" htmlFor="schedule-input" hint="A JSON object, as its runs take it.">
          <JsonControl id="schedule-input" required={false} value={given} onChange={setGiven} />
        </Field>
        {error ? (
          <p role="alert" className="rounded-md bg-bad-soft px-3 py-2 text-bad">
            {error}
          </p>
        ) : null}
      </form>
    </Dialog>
  );
}

function TargetField({ target, onChange }: { target: string; onChange: (target: string) => void }) {
  const { data } = useQuery({
    queryKey: ["catalog"],
    queryFn: ({ signal }) => call("get", "/catalog", { signal }),
  });
  const known = (data?.data ?? [])
    .filter((entry) => entry.kind !== "eval")
    .map((entry) => `${entry.kind}:${entry.name}`);
  const options = [...new Set([...(target ? [target] : []), ...known])];
  return (
    <Field label="What it starts" htmlFor="schedule-target">
      <select
        id="schedule-target"
        required
        value={target}
        onChange={(event) => onChange(event.target.value)}
        className={INPUT}
      >
        <option value="">Choose…</option>
        {options.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    </Field>
  );
}

function Preview({ cron, zone }: { cron: string; zone: string }) {
  const fires = nextFires(cron, zone);
  return (
    <div role="status" className="rounded-md bg-sunken px-3 py-2 text-xs text-muted">
      {fires === null ? (
        "This is no cron expression of five fields."
      ) : fires.length === 0 ? (
        "It never fires."
      ) : (
        <>Fires next: {fires.map((time) => inZone(time, zone)).join(" · ")}</>
      )}
    </div>
  );
}

function givenTo(schedule: Schedule): unknown {
  return (schedule.target.kind === "task" ? schedule.config : schedule.input) ?? undefined;
}

function splitTarget(target: string): [TargetKind, string] {
  const colon = target.indexOf(":");
  return [target.slice(0, colon) as TargetKind, target.slice(colon + 1)];
}

function localZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}
