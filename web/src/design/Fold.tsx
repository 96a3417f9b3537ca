import { ChevronRight } from "lucide-react";
import { type ReactNode, useState } from "react";
import { cx } from "./cx";

export interface FoldProps {
  /** What the line says. */
  summary: ReactNode;
  /** Said at the end of the line, such as how long it took. */
  note?: ReactNode;
  children: ReactNode;
  /** Open at first. */
  open?: boolean;
  className?: string;
}

/** A line that opens. What is inside is made only then. */
export function Fold({ summary, note, children, open = false, className }: FoldProps) {
  const [shown, setShown] = useState(open);
  return (
    <div className={className}>
      <button
        type="button"
        aria-expanded={shown}
        onClick={() => setShown(!shown)}
        className="flex w-full items-center gap-2 rounded text-left"
      >
        <ChevronRight
          aria-hidden="true"
          className={cx("size-3.5 shrink-0 text-faint transition-transform", shown && "rotate-90")}
        />
        <span className="flex min-w-0 flex-1 items-center gap-2">{summary}</span>
        {note ? <span className="shrink-0 text-xs text-muted">{note}</span> : null}
      </button>
      {shown ? children : null}
    </div>
  );
}
