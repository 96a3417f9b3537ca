import { Link, Outlet } from "@tanstack/react-router";
import { Menu as MenuIcon } from "lucide-react";
import { useState } from "react";
import { Button } from "@/design/Button";
import { cx } from "@/design/cx";
import { useHotkeys } from "@/hooks/useHotkeys";
import { AccountMenu } from "./AccountMenu";
import { AwayBanner } from "./AwayBanner";
import { ConnectionDot } from "./ConnectionDot";
import { HelpDialog } from "./HelpDialog";
import { useMe, useProject } from "./identity";
import { Mark } from "./Mark";
import { PAGES } from "./pages";

/** What stands around every page: the navigation, the project, the connection. */
export function Shell() {
  const [help, setHelp] = useState(false);
  const [open, setOpen] = useState(false);
  useHotkeys({ "?": () => setHelp(true) });
  return (
    <div className="flex h-dvh">
      <a
        href="#main"
        className="sr-only focus:not-sr-only focus:absolute focus:z-50 focus:m-2 focus:rounded focus:bg-surface focus:px-3 focus:py-2"
      >
        To the content
      </a>
      {open ? (
        <button
          type="button"
          aria-label="Close the navigation"
          className="fixed inset-0 z-20 bg-black/40 md:hidden"
          onClick={() => setOpen(false)}
        />
      ) : null}
      <aside
        className={cx(
          "fixed inset-y-0 left-0 z-30 flex w-56 shrink-0 flex-col border-r border-line bg-canvas md:static md:visible md:translate-x-0",
          open ? "translate-x-0" : "invisible -translate-x-full",
        )}
      >
        <Brand />
        <Navigation onGo={() => setOpen(false)} />
        <div className="flex items-center justify-between gap-2 border-t border-line p-2">
          <ConnectionDot />
          <AccountMenu onHelp={() => setHelp(true)} />
        </div>
      </aside>
      <div className="flex min-w-0 flex-1 flex-col">
        <AwayBanner />
        <div className="flex h-12 items-center gap-2 border-b border-line px-2 md:hidden">
          <Button
            tone="ghost"
            aria-label="Open the navigation"
            icon={<MenuIcon className="size-4" />}
            onClick={() => setOpen(true)}
          />
          <Mark className="size-5" />
          <span className="font-semibold">Perdure</span>
        </div>
        <main id="main" className="flex min-h-0 flex-1 flex-col">
          <Outlet />
        </main>
      </div>
      <HelpDialog open={help} onOpenChange={setHelp} />
    </div>
  );
}

function Brand() {
  const project = useProject();
  return (
    <div className="flex h-14 items-center gap-2.5 px-4">
      <Mark className="size-6 shrink-0" />
      <div className="min-w-0 leading-tight">
        <div className="text-sm font-semibold tracking-tight">Perdure</div>
        <div className="truncate text-xs text-muted" title={project?.slug}>
          {project?.name ?? " "}
        </div>
      </div>
    </div>
  );
}

function Navigation({ onGo }: { onGo: () => void }) {
  const scopes = useMe()?.scopes ?? [];
  return (
    <nav aria-label="Pages" className="flex flex-1 flex-col gap-0.5 overflow-y-auto px-2 py-1">
      {PAGES.filter((page) => page.scope === undefined || scopes.includes(page.scope)).map((page) => (
        <Link
          key={page.path}
          to={`/${page.path}`}
          onClick={onGo}
          className="flex h-8 items-center gap-2.5 rounded-md px-2 font-medium text-muted hover:bg-hover hover:text-ink"
          activeProps={{ className: "bg-hover text-ink!", "aria-current": "page" }}
          activeOptions={{ includeSearch: false }}
        >
          <page.icon className="size-4 shrink-0" />
          {page.label}
          {page.badge ? <page.badge /> : null}
        </Link>
      ))}
    </nav>
  );
}
