import type { Change } from "./history";

const LONGEST = 400;

/** What changed in a state: what was there before, and what is there now. */
export function Changes({ changes }: { changes: readonly Change[] }) {
  if (changes.length === 0) return <p className="text-xs text-muted">The same as before.</p>;
  return (
    <ul className="flex flex-col gap-1.5 font-mono text-xs" data-changes={changes.length}>
      {changes.map(({ path, before, after }) => (
        <li key={path} className="overflow-hidden rounded border border-line">
          <div className="truncate bg-sunken px-2 py-0.5 text-muted">{path || "/"}</div>
          {before === undefined ? null : <Side sign="-" value={before} tone="bg-bad-soft text-bad" />}
          {after === undefined ? null : <Side sign="+" value={after} tone="bg-good-soft text-good" />}
        </li>
      ))}
    </ul>
  );
}

function Side({ sign, value, tone }: { sign: string; value: unknown; tone: string }) {
  const text = JSON.stringify(value);
  return (
    <div className={`px-2 py-0.5 break-all ${tone}`}>
      {sign} {text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text}
    </div>
  );
}
