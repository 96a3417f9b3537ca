// The pages of the side navigation, in its order. To add one: a folder with its module, and a line here.
import { Activity, CalendarClock, CircleCheck, Cpu, KeyRound, LayoutGrid, ListTree } from "lucide-react";
import type { ComponentType } from "react";
import { WaitingCount } from "@/approvals/WaitingCount";

export interface Page {
  path: string;
  label: string;
  icon: ComponentType<{ className?: string }>;
  /** Said at the end of its line, such as how much waits there. */
  badge?: ComponentType;
  /** Loaded when the page is first opened; its default export is the page. */
  load: () => Promise<{ default: ComponentType }>;
  /** The scope without which it is not shown. */
  scope?: "admin";
}

export const PAGES: readonly Page[] = [
  { path: "runs", label: "Runs", icon: ListTree, load: () => import("@/runs/RunsPage") },
  {
    path: "approvals",
    label: "Approvals",
    icon: CircleCheck,
    badge: WaitingCount,
    load: () => import("@/approvals/ApprovalsPage"),
  },
  {
    path: "schedules",
    label: "Schedules",
    icon: CalendarClock,
    load: () => import("@/schedules/SchedulesPage"),
  },
  { path: "workers", label: "Workers", icon: Cpu, load: () => import("@/workers/WorkersPage") },
  { path: "catalog", label: "Catalog", icon: LayoutGrid, load: () => import("@/catalog/CatalogPage") },
  { path: "usage", label: "Usage", icon: Activity, load: () => import("@/usage/UsagePage") },
  { path: "keys", label: "Keys", icon: KeyRound, load: () => import("@/keys/KeysPage"), scope: "admin" },
];
