import { type FormEvent, useState } from "react";
import { call } from "@/api/client";
import { messageOf } from "@/api/problem";
import type { Body } from "@/api/types";
import { Button } from "@/design/Button";
import { CodeBlock } from "@/design/CodeBlock";
import { Dialog } from "@/design/Dialog";
import { Field, Input } from "@/design/Field";

type Scope = NonNullable<Body<"/keys", "post">["scopes"]>[number];

const SCOPES = [
  "runs:read",
  "runs:write",
  "runs:private",
  "agent-runs:events:append",
  "admin",
] as const satisfies readonly Scope[];

export interface CreateKeyDialogProps {
  onClose: () => void;
  onCreated: () => void;
}

/** Make a key; its secret is told once, here. */
export function CreateKeyDialog({ onClose, onCreated }: CreateKeyDialogProps) {
  const [name, setName] = useState("");
  const [chosen, setChosen] = useState<ReadonlySet<Scope>>(new Set(["runs:read", "runs:write"]));
  const [ends, setEnds] = useState("");
  const [error, setError] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [secret, setSecret] = useState<string>();
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      const expires = ends ? { expires_at: new Date(ends).toISOString() } : {};
      const made = await call("post", "/keys", { body: { name, scopes: [...chosen], ...expires } });
      setSecret(made.key);
      onCreated();
    } catch (problem) {
      setError(messageOf(problem));
    } finally {
      setBusy(false);
    }
  };
  if (secret !== undefined) {
    return (
      <Dialog
        open
        onOpenChange={onClose}
        title={`The key ${name}`}
        description="Copy it now: it is not shown again."
        actions={
          <Button tone="primary" onClick={onClose}>
            Done
          </Button>
        }
      >
        <CodeBlock label="Key" code={secret} wrap />
      </Dialog>
    );
  }
  const toggle = (scope: Scope): void => {
    const next = new Set(chosen);
    if (!next.delete(scope)) next.add(scope);
    setChosen(next);
  };
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title="New key"
      description="For a program or a person, with no more than what it needs."
      actions={
        <>
          <Button onClick={onClose}>Close</Button>
          <Button type="submit" form="new-key" tone="primary" busy={busy} disabled={chosen.size === 0}>
            Create
          </Button>
        </>
      }
    >
      <form id="new-key" onSubmit={submit} className="flex flex-col gap-4">
        <Field label="Name" htmlFor="key-name" hint="What the key is for." error={error}>
          <Input
            id="key-name"
            required
            maxLength={200}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        </Field>
        <fieldset className="flex flex-col gap-1.5">
          <legend className="mb-1.5 text-sm font-medium">Scopes</legend>
          {SCOPES.map((scope) => (
            <label key={scope} className="flex items-center gap-2 font-mono text-xs">
              <input
                type="checkbox"
                checked={chosen.has(scope)}
                onChange={() => toggle(scope)}
                className="size-3.5 accent-accent"
              />
              {scope}
            </label>
          ))}
        </fieldset>
        <Field label="Ends" htmlFor="key-ends" hint="Without a time it does not end.">
          <Input
            id="key-ends"
            type="datetime-local"
            value={ends}
            onChange={(event) => setEnds(event.target.value)}
          />
        </Field>
      </form>
    </Dialog>
  );
}
