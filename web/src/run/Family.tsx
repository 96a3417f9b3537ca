import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { CornerLeftUp, Network } from "lucide-react";
import { Popover } from "radix-ui";
import { call } from "@/api/client";
import { isLive } from "@/api/runs";
import type { Run } from "@/api/types";
import { cx } from "@/design/cx";
import { StatusChip } from "@/design/StatusChip";

const LIVE_MS = 5_000;

/** The tree of runs that a run is part of, behind a button; nothing where it is alone. */
export function Family({ run }: { run: Run }) {
  const { data: tree } = useQuery({
    queryKey: ["run", run.run_id, "family", run.status],
    queryFn: ({ signal }) =>
      call("get", "/runs/{run_id}/tree", { path: { run_id: run.run_id }, query: { root: true }, signal }),
    refetchInterval: isLive(run.status) ? LIVE_MS : false,
    placeholderData: (before) => before,
  });
  const nodes = tree?.data ?? [];
  const children = nodes.filter((node) => node.parent_run_id === run.run_id).length;
  if (nodes.length < 2) return null;
  return (
    <Popover.Root>
      <Popover.Trigger className="inline-flex items-center gap-1.5 rounded font-medium text-accent-ink hover:underline">
        {run.parent_run_id ? <CornerLeftUp aria-hidden="true" className="size-3" /> : null}
        <Network aria-hidden="true" className="size-3" />
        {run.parent_run_id ? "Child run" : null}
        {run.parent_run_id && children > 0 ? ", " : null}
        {children > 0 ? `${children} ${children === 1 ? "child" : "children"}` : null}
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content
          align="start"
          sideOffset={6}
          aria-label="Tree of runs"
          className="rising z-50 max-h-96 w-[min(30rem,calc(100vw-2rem))] overflow-auto rounded-lg border border-line bg-surface p-1 shadow-pop"
        >
          <ul>
            {nodes.map((node) => (
              <li key={node.run_id}>
                <Popover.Close asChild>
                  <Link
                    to="/runs/$runId"
                    params={{ runId: node.run_id }}
                    aria-current={node.run_id === run.run_id ? "true" : undefined}
                    style={{ paddingLeft: `${0.5 + node.depth}rem` }}
                    className={cx(
                      "flex h-8 items-center gap-2 rounded pr-2 text-xs hover:bg-hover",
                      node.run_id === run.run_id && "bg-accent-soft",
                    )}
                  >
                    <span className="truncate font-medium">{node.name ?? node.agent_id ?? node.target}</span>
                    <span className="min-w-0 flex-1 truncate font-mono text-muted">{node.run_id}</span>
                    <StatusChip status={node.status} />
                  </Link>
                </Popover.Close>
              </li>
            ))}
          </ul>
          {tree?.truncated ? <p className="px-2 py-1 text-xs text-muted">There are more runs.</p> : null}
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}
