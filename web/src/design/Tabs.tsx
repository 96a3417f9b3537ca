import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

export interface TabLink {
  /** A path of the router; tabs are pages, so that each has a URL. */
  to: string;
  label: ReactNode;
}

export interface TabsProps {
  tabs: readonly TabLink[];
  label: string;
  /** What the query of the URL says holds for all tabs. */
  keepSearch?: boolean;
}

/** A row of links of which the current one is marked. */
export function Tabs({ tabs, label, keepSearch = false }: TabsProps) {
  return (
    <nav aria-label={label} className="flex gap-5 overflow-x-auto border-b border-line px-4 sm:px-6">
      {tabs.map((tab) => (
        <Link
          key={tab.to}
          to={tab.to}
          {...(keepSearch ? { search: true } : {})}
          className="-mb-px flex h-10 items-center border-b-2 border-transparent text-sm font-medium whitespace-nowrap text-muted hover:text-ink"
          activeProps={{ className: "border-ink! text-ink!", "aria-current": "page" }}
          activeOptions={{ includeSearch: false }}
        >
          {tab.label}
        </Link>
      ))}
    </nav>
  );
}
