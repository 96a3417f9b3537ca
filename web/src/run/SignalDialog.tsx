import { type FormEvent, useState } from "react";
import { call } from "@/api/client";
import { messageOf } from "@/api/problem";
import { Button } from "@/design/Button";
import { Dialog } from "@/design/Dialog";
import { Field, INPUT, Input } from "@/design/Field";
import { toast } from "@/design/Toast";

export interface SignalDialogProps {
  runId: string;
  open: boolean;
  onOpenChange: (open: boolean) => void;
}

export function SignalDialog({ runId, open, onOpenChange }: SignalDialogProps) {
  const [name, setName] = useState("");
  const [value, setValue] = useState("null");
  const [error, setError] = useState<string>();
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    try {
      const path = { run_id: runId, name };
      await call("post", "/runs/{run_id}/signals/{name}", { path, body: JSON.parse(value) });
      toast(`Sent ${name}`);
      onOpenChange(false);
    } catch (problem) {
      setError(
        problem instanceof SyntaxError ? "The value must be JSON; text needs quotes." : messageOf(problem),
      );
    }
  };
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title="Send a signal"
      description="It becomes an event of the run's log; a run that waits for it goes on."
      actions={
        <>
          <Button onClick={() => onOpenChange(false)}>Close</Button>
          <Button type="submit" form="signal" tone="primary">
            Send
          </Button>
        </>
      }
    >
      <form id="signal" onSubmit={submit} className="flex flex-col gap-4">
        <Field label="Name" htmlFor="signal-name">
          <Input id="signal-name" required value={name} onChange={(event) => setName(event.target.value)} />
        </Field>
        <Field label="Value" htmlFor="signal-value" hint="Any JSON." error={error}>
          <textarea
            id="signal-value"
            rows={5}
            spellCheck={false}
            value={value}
            onChange={(event) => setValue(event.target.value)}
            className={`${INPUT} h-auto py-2 font-mono text-xs`}
          />
        </Field>
      </form>
    </Dialog>
  );
}
