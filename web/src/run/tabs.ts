// The tabs of a run, in their order. To add one: a module in this folder, and a line here.
import type { ComponentType } from "react";
import type { RunKind } from "@/api/types";

export interface RunTab {
  path: string;
  label: string;
  /** The kinds of run that have it; all where it is not said. */
  kinds?: readonly RunKind[];
  /** Loaded when the tab is first opened. It finds its run with `useRun`. */
  load: () => Promise<{ default: ComponentType }>;
}

export const RUN_TABS: readonly RunTab[] = [
  { path: "chat", label: "Chat", kinds: ["agent", "workflow"], load: () => import("./chat/ChatTab") },
  { path: "timeline", label: "Timeline", load: () => import("./timeline/TimelineTab") },
  { path: "events", label: "Events", load: () => import("./events/EventsTab") },
  { path: "state", label: "State", load: () => import("./state/StateTab") },
  { path: "logs", label: "Logs", load: () => import("./logs/LogsTab") },
  { path: "artifacts", label: "Artifacts", load: () => import("./artifacts/ArtifactsTab") },
  { path: "json", label: "JSON", load: () => import("./json/JsonTab") },
];

/** The tab that a run opens with. */
export function defaultTab(kind: RunKind): string {
  return kind === "agent" ? "chat" : "events";
}

export function hasTab(kind: RunKind, { kinds }: RunTab): boolean {
  return kinds === undefined || kinds.includes(kind);
}
