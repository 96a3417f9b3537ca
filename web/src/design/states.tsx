import { CircleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { messageOf, Problem } from "@/api/problem";
import { Button } from "./Button";
import { cx } from "./cx";

export interface EmptyStateProps {
  icon?: ReactNode;
  title: string;
  /** What to do about it. */
  children?: ReactNode;
  action?: ReactNode;
}

export function EmptyState({ icon, title, children, action }: EmptyStateProps) {
  return (
    <div className="flex flex-col items-center justify-center gap-1 px-6 py-16 text-center">
      {icon ? <div className="mb-2 text-faint">{icon}</div> : null}
      <h2 className="text-base font-semibold">{title}</h2>
      {children ? <div className="max-w-md text-sm text-muted">{children}</div> : null}
      {action ? <div className="mt-4">{action}</div> : null}
    </div>
  );
}

export interface ErrorStateProps {
  error: unknown;
  onRetry?: () => void;
}

export function ErrorState({ error, onRetry }: ErrorStateProps) {
  const requestId = error instanceof Problem ? error.requestId : undefined;
  return (
    <div role="alert" className="flex flex-col items-center gap-2 px-6 py-16 text-center">
      <CircleAlert aria-hidden="true" className="size-5 text-bad" />
      <p className="max-w-md text-sm">{messageOf(error)}</p>
      {requestId ? <p className="font-mono text-xs text-faint">Request {requestId}</p> : null}
      {onRetry ? <Button onClick={onRetry}>Try again</Button> : null}
    </div>
  );
}

export function Skeleton({ className }: { className?: string }) {
  return <div aria-hidden="true" className={cx("breathing rounded bg-sunken", className)} />;
}
