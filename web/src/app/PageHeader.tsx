import type { ReactNode } from "react";

export interface PageHeaderProps {
  title: string;
  /** One line beside the title, such as a count. */
  note?: ReactNode;
  actions?: ReactNode;
}

/** The head of every page; it holds the page's only h1. */
export function PageHeader({ title, note, actions }: PageHeaderProps) {
  return (
    <header className="flex min-h-14 shrink-0 flex-wrap items-center gap-x-3 gap-y-2 px-4 py-2.5 sm:px-6">
      <h1 className="text-base font-semibold tracking-tight">{title}</h1>
      {note ? <span className="text-xs text-muted">{note}</span> : null}
      <div className="ml-auto flex items-center gap-2">{actions}</div>
    </header>
  );
}
