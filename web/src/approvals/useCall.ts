import { useQuery } from "@tanstack/react-query";
import { call } from "@/api/client";
import { beginChat, foldChat } from "@/log/chat/fold";
import type { ToolItem } from "@/log/chat/items";
import type { LogEvent } from "@/log/event";

const PAGE = 500;
/** A call is told shortly before the run waits for it; further back than this nobody looks. */
const MOST_PAGES = 8;

/** A tool call that a run waits for, with its arguments, from the end of the run's log; null where that is not told. */
export function useCall(runId: string, toolCallId: string, latestEventId: number) {
  return useQuery({
    queryKey: ["waiting", "call", runId, toolCallId],
    queryFn: ({ signal }) => findCall(runId, toolCallId, latestEventId, signal),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

async function findCall(
  runId: string,
  toolCallId: string,
  latest: number,
  signal: AbortSignal,
): Promise<ToolItem | null> {
  let events: LogEvent[] = [];
  for (let page = 1, end = latest; page <= MOST_PAGES && end > 0; page += 1) {
    const after = Math.max(0, end - PAGE);
    const query = { after_event_id: after, limit: PAGE };
    const found = await call("get", "/runs/{run_id}/events", { path: { run_id: runId }, query, signal });
    const these = found.data
      .map((one) => logEvent(one.event_id, one.created_at, one.payload))
      .filter((one) => one.id <= end);
    events = [...these, ...events];
    const told = events.some(
      (one) => one.type === "TOOL_CALL_START" && one.payload.toolCallId === toolCallId,
    );
    if (told) break;
    end = after;
  }
  const items = foldChat(beginChat(null), events).items;
  const item = items.findLast((one) => one.kind === "tool" && one.id === toolCallId);
  return item?.kind === "tool" ? item : null;
}

function logEvent(id: number, at: string, given: unknown): LogEvent {
  const payload = given as Record<string, unknown>;
  return { id, type: String(payload.type), at: Date.parse(at), payload };
}
