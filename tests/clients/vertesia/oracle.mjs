// What every answer of the server must be: the client's own schemas and types, and for errors the public contract's.
import assert from "node:assert/strict";
import { EventSource } from "eventsource";
import { pruneAndValidateApiResponse, validateApiResponse } from "@vertesia/common/api-schemas";
import { matches } from "./types.mjs";

/** Says what is wrong with a value, null if nothing is. */
const closed = (name) => (value) => verdict(validateApiResponse(name, value));
/** The same for an answer which may say more than the client's types have: the seed's `environment`, `model`, `name`. */
const open = (name) => (value) => verdict(pruneAndValidateApiResponse(name, value));
const typed = (name) => (value) => matches(name, value);
const verdict = (result) => (result.valid ? null : JSON.stringify(result.errors));

const AGENTS = "/api/v1/agents";
const RUN = `${AGENTS}/[0-9A-Za-z_-]+`;
const ANALYTICS = {
  summary: "WorkflowAnalyticsSummaryResponse",
  tokens: "TokenUsageAnalyticsResponse",
  "latency/llm": "LatencyAnalyticsResponse",
  "latency/tools": "LatencyAnalyticsResponse",
  "latency/agents": "LatencyAnalyticsResponse",
  errors: "ErrorAnalyticsResponse",
  tools: "ToolAnalyticsResponse",
  "tools/parameters": "ToolParameterAnalyticsResponse",
  "filter-options": "WorkflowAnalyticsFilterOptionsResponse",
  "prompt-size": "PromptSizeAnalyticsResponse",
  "top-principals": "TopPrincipalsAnalyticsResponse",
  "runs-by-agent": "RunsByAgentAnalyticsResponse",
  "time-to-first-response": "TimeToFirstResponseAnalyticsResponse",
  "first-response-behavior": "FirstResponseBehaviorAnalyticsResponse",
};

/** Method, path, status of a success, and what judges its body. The first that fits counts. */
const ANSWERS = [
  ["POST", "/sts/token/issue", 200, closed("IssueTokenResponse")],
  ["POST", AGENTS, 200, open("AgentRunResponse")],
  ["GET", AGENTS, 200, open("ListAgentRunsResponse")],
  ["GET", `${AGENTS}/search`, 200, closed("SearchAgentRunsResponse")],
  ["POST", `${AGENTS}/record`, 200, open("AgentRunResponse")],
  ...Object.entries(ANALYTICS).map(([path, name]) => ["POST", `${AGENTS}/analytics/${path}`, 200, typed(name)]),
  ["GET", RUN, 200, open("AgentRunResponse")],
  ["DELETE", RUN, 200, closed("TerminateAgentRunResponse")],
  ["POST", `${RUN}/(restart|fork)`, 200, open("AgentRun")],
  ["POST", `${RUN}/(status|workflow)`, 200, open("AgentRunResponse")],
  ["POST", `${RUN}/events`, 200, closed("IngestAgentEventsResponse")],
  ["POST", `${RUN}/signal/.+`, 200, closed("SignalAgentResponse")],
  ["GET", `${RUN}/query/.+`, 200, closed("WorkflowQueryResult")],
  ["GET", `${RUN}/updates`, 200, closed("AgentRunUpdatesResponse")],
  ["POST", `${RUN}/updates`, 201, closed("PostAgentRunUpdateResponse")],
  ["GET", `${RUN}/internals`, 200, closed("AgentRunInternals")],
  ["GET", `${RUN}/details`, 200, closed("WorkflowRunWithDetails")],
  ["GET", `${RUN}/children`, 200, closed("ListWorkflowRunsResponse")],
  ["GET", `${RUN}/children/[^/]+/details`, 200, closed("WorkflowRunWithDetails")],
  ["GET", `${RUN}/artifacts`, 200, closed("AgentRunArtifactPathArray")],
  ["(GET|PUT)", `${RUN}/artifacts/.+`, 200, closed("AgentArtifactUrlResponse")],
  ["GET", `${RUN}/artifact-content/.+`, 200, closed("AgentArtifactContentResponse")],
  ["PUT", `${RUN}/artifact-content/.+`, 200, closed("UpdateAgentArtifactContentResponse")],
].map(([method, path, status, judge]) => [new RegExp(`^${method} ${path}$`), status, judge]);

/** The contract's ErrorResponse, which the package's registry lacks: closed, and its status is the answer's. */
function checkError(status, value) {
  const { error, status: told, message, details, ...more } = value;
  assert.deepEqual([typeof error, told, more], ["string", status, {}], JSON.stringify(value));
  for (const text of [message, details]) assert.ok(text === undefined || typeof text === "string");
}

/** What was wrong with answers. */
export const violations = [];

/** `fetch` for the client: each answer is judged before the client has it. */
export async function checkedFetch(input, init) {
  const response = await fetch(input, init);
  const url = new URL(typeof input === "string" || input instanceof URL ? input : input.url);
  const request = `${init?.method ?? input.method ?? "GET"} ${url.pathname}`;
  const text = await response.clone().text();
  try {
    assert.match(response.headers.get("content-type") ?? "", /^application\/json/);
    if (response.ok) {
      const known = ANSWERS.find(([pattern]) => pattern.test(request));
      assert.ok(known, "no schema is known");
      assert.equal(response.status, known[1]);
      assert.equal(known[2](JSON.parse(text)), null);
    } else {
      checkError(response.status, JSON.parse(text));
    }
  } catch (error) {
    violations.push(`${request}: ${response.status} ${text.slice(0, 500)}: ${error.message}`);
  }
  return response;
}

const isMessage = closed("CompactMessage");

/** What the client follows streams with: the `eventsource` that it brings along, and each message is judged. */
export class CheckedEventSource extends EventSource {
  constructor(url, init) {
    super(url, init);
    this.addEventListener("message", ({ data }) => {
      const wrong = isMessage(JSON.parse(data));
      if (wrong !== null) violations.push(`stream ${new URL(url).pathname}: ${data}: ${wrong}`);
    });
  }
}
