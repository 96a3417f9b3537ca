import type { Run } from "@/api/types";

/** A command that starts the same again. The key stays out of it: it comes from the shell's environment. */
export function curlOf(run: Run, origin: string): string {
  const query = new URLSearchParams(run.priority === 0 ? {} : { priority: String(run.priority) }).toString();
  const url = `${origin}/runs${query ? `?${query}` : ""}`;
  return [
    `curl -X POST ${quoted(url)}`,
    '-H "Authorization: Bearer $PERDURE_API_KEY"',
    "-H 'Content-Type: application/json'",
    `-d ${quoted(JSON.stringify(bodyOf(run)))}`,
  ].join(" \\\n  ");
}

function bodyOf(run: Run): object {
  const owner = { kind: "project", id: run.project_id };
  if (run.kind === "agent") {
    const request = { mode: "agent", agent_id: run.agent_id, input: run.input };
    return { kind: run.kind, owner, conversation_mode: run.conversation_id ? "create_new" : "none", request };
  }
  const request = {
    target: run.target,
    ...(run.workflow_id === null ? {} : { workflow_id: run.workflow_id }),
    ...(run.kind === "task" || run.input === undefined ? {} : { input: run.input }),
    ...(run.kind === "workflow" || run.config === undefined ? {} : { config: run.config }),
  };
  return { kind: run.kind, owner, request };
}

/** A word for the shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
