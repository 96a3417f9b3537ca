import { type FormEvent, useState } from "react";
import { messageOf, Problem } from "@/api/problem";
import { signIn } from "@/api/session";
import { Button } from "@/design/Button";
import { Field, Input } from "@/design/Field";
import { verify } from "./identity";
import { Mark } from "./Mark";

/** Ask for an API key or a token, and try it before it is kept. */
export function SignIn() {
  const [value, setValue] = useState("");
  const [error, setError] = useState<string>();
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await verify(value.trim());
      signIn(value.trim());
    } catch (problem) {
      const wrong = problem instanceof Problem && problem.status === 401;
      setError(wrong ? "The server does not know this key or token." : messageOf(problem));
    } finally {
      setBusy(false);
    }
  };
  return (
    <main className="flex min-h-dvh items-center justify-center p-4">
      <form onSubmit={submit} className="flex w-full max-w-sm flex-col gap-5">
        <div className="flex flex-col gap-3">
          <Mark className="size-9" />
          <div>
            <h1 className="text-lg font-semibold tracking-tight">Sign in to Perdure</h1>
            <p className="mt-1 text-muted">Watch and steer the runs of your agents.</p>
          </div>
        </div>
        <Field
          label="API key or token"
          htmlFor="credential"
          error={error}
          hint={
            <>
              <code className="font-mono whitespace-nowrap">perdure dev</code> prints a link that signs you
              in. Elsewhere <code className="font-mono whitespace-nowrap">perdure keys create NAME</code>{" "}
              makes a key.
            </>
          }
        >
          <Input
            id="credential"
            type="password"
            autoComplete="current-password"
            spellCheck={false}
            required
            autoFocus
            value={value}
            onChange={(event) => setValue(event.target.value)}
            className="h-9 font-mono"
          />
        </Field>
        <Button type="submit" tone="primary" busy={busy} className="h-9">
          Sign in
        </Button>
        <p className="text-xs text-faint">It is kept in this tab only, until you close it or sign out.</p>
      </form>
    </main>
  );
}
