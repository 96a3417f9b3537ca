import { useQuery } from "@tanstack/react-query";
import { MessagesSquare } from "lucide-react";
import { call } from "@/api/client";
import { isLive } from "@/api/runs";
import { useForbidden } from "@/app/identity";
import { EmptyState, ErrorState, Skeleton } from "@/design/states";
import type { Chat } from "@/log/chat/items";
import { useLog } from "../events/log";
import { useAt } from "../useAt";
import { useRun, useRunId } from "../useRun";
import { UserMessage } from "./ChatItem";
import { Composer } from "./Composer";
import { Tail } from "./Tail";
import { Thread } from "./Thread";
import { useChat } from "./useChat";

export default function ChatTab() {
  const runId = useRunId();
  const { data: run } = useRun(runId);
  const log = useLog();
  const { at } = useAt();
  const why = useForbidden();
  const chat = useChat(run?.input, log.events);
  const interactive = useInteractive(runId, run?.kind === "agent");
  if (log.state === "failed") return <ErrorState error={log.error} />;
  if (!run || (log.state === "connecting" && log.events.length === 0)) return <Loading />;
  // A page that stands at an event shows what was: nothing is answered there.
  const live = at === undefined && isLive(run.status) && chat.end === null;
  const empty = chat.items.length === 0 && chat.queued.length === 0 && chat.end === null && !live;
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      {empty ? (
        <EmptyState icon={<MessagesSquare className="size-6" />} title="Nothing was said">
          What this run did is told on the tab Events.
        </EmptyState>
      ) : (
        <Thread runId={runId} items={chat.items}>
          <Tail run={run} chat={chat} />
          {chat.queued.map((item) => (
            <UserMessage
              key={item.id}
              item={item}
              note={live ? "Comes after this turn" : "Came too late: the run had ended"}
            />
          ))}
        </Thread>
      )}
      {!interactive || !live ? null : why ? (
        <p className="mx-auto w-full max-w-3xl px-4 pb-4 text-xs text-muted sm:px-6">{why}</p>
      ) : (
        <Composer runId={runId} turnOpen={turnIsOpen(chat)} />
      )}
    </div>
  );
}

/** An interactive run waits for input between its turns, and in no other state. */
function turnIsOpen(chat: Chat): boolean {
  return chat.turn === null && chat.waiting?.reason !== "input";
}

/** Whether the run takes messages, which the other dialect of the same run tells. */
function useInteractive(runId: string, isAgent: boolean): boolean {
  const { data } = useQuery({
    queryKey: ["run", runId, "interactive"],
    queryFn: ({ signal }) => call("get", "/api/v1/agents/{run_id}", { path: { run_id: runId }, signal }),
    enabled: isAgent,
    staleTime: Number.POSITIVE_INFINITY,
  });
  return data?.interactive ?? false;
}

function Loading() {
  return (
    <div className="mx-auto flex w-full max-w-3xl flex-1 flex-col gap-4 px-4 py-6 sm:px-6">
      <Skeleton className="ml-auto h-9 w-1/2" />
      <Skeleton className="h-4 w-4/5" />
      <Skeleton className="h-4 w-3/5" />
    </div>
  );
}
