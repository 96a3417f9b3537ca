// The names of what the query client holds and more than one folder says is out of date.

/** The runs that wait for a person. */
export const RUNS_KEY = ["waiting", "runs"] as const;
/** The open input requests. */
export const INPUTS_KEY = ["waiting", "inputs"] as const;

export function runKey(runId: string): readonly string[] {
  return ["run", runId];
}
