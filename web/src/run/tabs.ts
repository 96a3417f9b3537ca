// The tabs of a run, in their order. To add one: a module in this folder, and a line here.
import type { ComponentType } from "react";

export interface RunTab {
  path: string;
  label: string;
  /** Loaded when the tab is first opened. It finds its run with `useRun`. */
  load: () => Promise<{ default: ComponentType }>;
}

export const RUN_TABS: readonly RunTab[] = [
  { path: "timeline", label: "Timeline", load: () => import("./timeline/TimelineTab") },
  { path: "events", label: "Events", load: () => import("./events/EventsTab") },
  { path: "state", label: "State", load: () => import("./state/StateTab") },
  { path: "logs", label: "Logs", load: () => import("./logs/LogsTab") },
  { path: "artifacts", label: "Artifacts", load: () => import("./artifacts/ArtifactsTab") },
  { path: "json", label: "JSON", load: () => import("./json/JsonTab") },
];

export const DEFAULT_TAB = "events";
