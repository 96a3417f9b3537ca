import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
  type SearchSchemaInput,
} from "@tanstack/react-router";
import { ErrorState } from "@/design/states";
import { RUN_TABS } from "@/run/tabs";
import { readFilters } from "@/runs/filters";
import { NotFound } from "./NotFound";
import { PAGES } from "./pages";
import { Shell } from "./Shell";

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound });

const home = createRoute({
  getParentRoute: () => root,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/runs", replace: true });
  },
});

const runs = createRoute({
  getParentRoute: () => root,
  path: "runs",
  component: lazyRouteComponent(() => import("@/runs/RunsPage")),
  validateSearch: (search: Record<string, unknown> & SearchSchemaInput) => readFilters(search),
});

const run = createRoute({
  getParentRoute: () => root,
  path: "runs/$runId",
  component: lazyRouteComponent(() => import("@/run/RunPage")),
  // The event that the page stands at; without it, the page is live.
  validateSearch: ({ at }: { at?: unknown } & SearchSchemaInput): { at?: number | undefined } =>
    Number.isInteger(Number(at)) && Number(at) > 0 ? { at: Number(at) } : {},
});

const runHome = createRoute({
  getParentRoute: () => run,
  path: "/",
  component: lazyRouteComponent(() => import("@/run/RunHome")),
});

const runTabs = RUN_TABS.map((tab) =>
  createRoute({ getParentRoute: () => run, path: tab.path, component: lazyRouteComponent(tab.load) }),
);

const pages = PAGES.filter((page) => page.path !== "runs").map((page) =>
  createRoute({ getParentRoute: () => root, path: page.path, component: lazyRouteComponent(page.load) }),
);

export const router = createRouter({
  routeTree: root.addChildren([home, runs, run.addChildren([runHome, ...runTabs]), ...pages]),
  basepath: "/ui",
  defaultPreload: "intent",
  defaultErrorComponent: ({ error, reset }) => <ErrorState error={error} onRetry={reset} />,
  parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
  stringifySearch: (search) => {
    const words = new URLSearchParams();
    for (const [name, value] of Object.entries(search)) {
      if (value !== undefined && value !== null && value !== "") words.set(name, String(value));
    }
    const text = words.toString();
    return text ? `?${text}` : "";
  },
});
