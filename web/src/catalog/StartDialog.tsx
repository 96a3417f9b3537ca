import { useNavigate } from "@tanstack/react-router";
import { Play } from "lucide-react";
import { type FormEvent, useMemo, useState } from "react";
import { messageOf } from "@/api/problem";
import { useProject } from "@/app/identity";
import { Button } from "@/design/Button";
import { cx } from "@/design/cx";
import { Dialog } from "@/design/Dialog";
import { Field, INPUT, Input } from "@/design/Field";
import { JsonControl } from "@/design/JsonControl";
import { SchemaForm } from "./SchemaForm";
import { defaultsOf, fieldsOf, type JsonSchema } from "./schema";
import { type Entry, type Options, startRun } from "./start";

type Values = Record<string, unknown>;

const UNSAID: Options = { priority: "", runAfter: "", deadline: "" };

export interface StartDialogProps {
  entry: Entry;
  onClose: () => void;
}

/** A form made from what the entry takes; it leads to the run that it starts. */
export function StartDialog({ entry, onClose }: StartDialogProps) {
  const project = useProject();
  const navigate = useNavigate();
  const agent = entry.kind === "agent";
  const fields = useMemo(
    () => (entry.input_schema ? fieldsOf(entry.input_schema as JsonSchema) : []),
    [entry.input_schema],
  );
  const [message, setMessage] = useState("");
  const [input, setInput] = useState<Values>(() => defaultsOf(fields));
  const [asJson, setAsJson] = useState(fields.length === 0);
  const [options, setOptions] = useState(UNSAID);
  const [error, setError] = useState<string>();
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (!project) return;
    setBusy(true);
    setError(undefined);
    try {
      const runId = await startRun({ entry, projectId: project.id, message, input, options });
      await navigate({ to: "/runs/$runId", params: { runId } });
    } catch (problem) {
      setError(messageOf(problem));
      setBusy(false);
    }
  };
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title={`Start ${entry.name}`}
      {...(entry.description ? { description: entry.description } : {})}
      actions={
        <>
          <Button onClick={onClose}>Close</Button>
          <Button
            type="submit"
            form="start"
            tone="primary"
            busy={busy}
            disabled={!project}
            icon={<Play className="size-3.5" />}
          >
            Start
          </Button>
        </>
      }
    >
      <form id="start" onSubmit={submit} className="flex flex-col gap-4">
        {entry.workers.length === 0 ? (
          <p className="rounded-md bg-waiting-soft px-3 py-2 text-waiting">
            No worker serves it now: the run waits until one does.
          </p>
        ) : null}
        {agent ? (
          <Field label="Message" htmlFor="start-message" hint="What you say to the agent.">
            <textarea
              id="start-message"
              rows={3}
              required={input.messages === undefined}
              value={message}
              onChange={(event) => setMessage(event.target.value)}
              className={cx(INPUT, "h-auto py-2")}
            />
          </Field>
        ) : null}
        {fields.length > 0 ? <Switch asJson={asJson} onChange={setAsJson} /> : null}
        {asJson ? (
          <JsonInput agent={agent} value={input} onChange={setInput} />
        ) : (
          <SchemaForm fields={fields} value={input} onChange={setInput} />
        )}
        <StartOptions options={options} onChange={setOptions} />
        {error ? (
          <p role="alert" className="rounded-md bg-bad-soft px-3 py-2 text-bad">
            {error}
          </p>
        ) : null}
      </form>
    </Dialog>
  );
}

function Switch({ asJson, onChange }: { asJson: boolean; onChange: (asJson: boolean) => void }) {
  return (
    <div role="group" aria-label="How to write the input" className="flex gap-1">
      {[false, true].map((json) => (
        <Button
          key={String(json)}
          tone={json === asJson ? "plain" : "ghost"}
          aria-pressed={json === asJson}
          onClick={() => onChange(json)}
        >
          {json ? "JSON" : "Form"}
        </Button>
      ))}
    </div>
  );
}

interface JsonInputProps {
  agent: boolean;
  value: Values;
  onChange: (value: Values) => void;
}

function JsonInput({ agent, value, onChange }: JsonInputProps) {
  return (
    <Field
      label={agent ? "More input (optional)" : "Input"}
      htmlFor="start-json"
      hint={
        agent
          ? "A JSON object: messages, tools, model, context, runtime_overrides …"
          : "A JSON object, or nothing."
      }
    >
      <JsonControl
        id="start-json"
        required={false}
        value={Object.keys(value).length > 0 ? value : undefined}
        onChange={(next) => onChange((next ?? {}) as Values)}
      />
    </Field>
  );
}

function StartOptions({ options, onChange }: { options: Options; onChange: (options: Options) => void }) {
  const set = (change: Partial<Options>): void => onChange({ ...options, ...change });
  return (
    <details>
      <summary className="w-fit text-sm font-medium text-muted hover:text-ink">Options</summary>
      <div className="mt-3 grid gap-4 sm:grid-cols-3">
        <Field label="Priority" htmlFor="start-priority" hint="Higher goes first.">
          <Input
            id="start-priority"
            type="number"
            min={-100}
            max={100}
            value={options.priority}
            onChange={(event) => set({ priority: event.target.value })}
          />
        </Field>
        <Field label="Run after" htmlFor="start-after">
          <Input
            id="start-after"
            type="datetime-local"
            value={options.runAfter}
            onChange={(event) => set({ runAfter: event.target.value })}
          />
        </Field>
        <Field label="Deadline" htmlFor="start-deadline">
          <Input
            id="start-deadline"
            type="datetime-local"
            value={options.deadline}
            onChange={(event) => set({ deadline: event.target.value })}
          />
        </Field>
      </div>
    </details>
  );
}
