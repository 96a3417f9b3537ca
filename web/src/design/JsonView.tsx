import { ChevronRight } from "lucide-react";
import { useState } from "react";
import { cx } from "./cx";

export interface JsonViewProps {
  value: unknown;
  /** How many levels are open at first. */
  open?: number;
  name?: string;
  /** Its members only, without a line for the whole. */
  bare?: boolean;
}

const MOST = 200;

/** JSON as a tree. Long lists show their beginning until more is asked for. */
export function JsonView({ value, open = 2, name, bare = false }: JsonViewProps) {
  if (value === null || typeof value !== "object") return <Leaf name={name} value={value} />;
  if (bare && Object.keys(value).length > 0) {
    // Where a member can be folded, its arrow needs the room before the names.
    const folds = Object.values(value).some((child) => child !== null && typeof child === "object");
    return <Members value={value} open={open - 1} className={folds ? "" : "-ml-4"} />;
  }
  return <Branch value={value} open={open} name={name} />;
}

function Branch({ value, open, name }: { value: object; open: number; name?: string | undefined }) {
  const [shown, setShown] = useState(open > 0);
  const list = Array.isArray(value);
  const count = Object.keys(value).length;
  const size = list ? `[${count}]` : `{${count}}`;
  if (count === 0) return <Leaf name={name} value={list ? "[]" : "{}"} plain />;
  return (
    <div className="font-mono text-xs/5">
      <button
        type="button"
        aria-expanded={shown}
        className="inline-flex items-center gap-1 rounded hover:bg-hover"
        onClick={() => setShown(!shown)}
      >
        <ChevronRight
          aria-hidden="true"
          className={cx("size-3 text-faint transition-transform", shown && "rotate-90")}
        />
        {name === undefined ? null : <span className="text-accent-ink">{name}</span>}
        <span className="text-faint">{size}</span>
      </button>
      {shown ? <Members value={value} open={open - 1} className="ml-1.5 border-l border-line pl-3" /> : null}
    </div>
  );
}

function Members({ value, open, className }: { value: object; open: number; className: string }) {
  const [most, setMost] = useState(MOST);
  const entries = Object.entries(value);
  return (
    <div className={cx("font-mono text-xs/5", className)}>
      {entries.slice(0, most).map(([key, child]) => (
        <JsonView key={key} name={key} value={child} open={open} />
      ))}
      {entries.length > most ? (
        <button type="button" className="ml-4 text-accent-ink underline" onClick={() => setMost(most + MOST)}>
          {entries.length - most} more
        </button>
      ) : null}
    </div>
  );
}

const KINDS: Record<string, string> = {
  string: "text-good",
  number: "text-running",
  boolean: "text-waiting",
};

function Leaf({
  name,
  value,
  plain = false,
}: {
  name?: string | undefined;
  value: unknown;
  plain?: boolean;
}) {
  return (
    <div className="pl-4 font-mono text-xs/5 break-words whitespace-pre-wrap">
      {name === undefined ? null : <span className="text-accent-ink">{name}: </span>}
      <span className={plain ? "text-faint" : (KINDS[typeof value] ?? "text-faint")}>
        {plain ? String(value) : JSON.stringify(value)}
      </span>
    </div>
  );
}
