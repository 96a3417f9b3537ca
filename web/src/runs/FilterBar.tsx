import { ListFilter, Search, X } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { KINDS } from "@/api/runs";
import { Button } from "@/design/Button";
import { Input } from "@/design/Field";
import { moment } from "@/design/format";
import { KeyHint } from "@/design/KeyHint";
import { Menu, MenuCheck } from "@/design/Menu";
import { useHotkeys } from "@/hooks/useHotkeys";
import { isFiltered, type RunFilters, STATUSES, statusesOf } from "./filters";

const SETTLED_MS = 250;

export interface FilterBarProps {
  filters: RunFilters;
  onChange: (filters: RunFilters) => void;
}

export function FilterBar({ filters, onChange }: FilterBarProps) {
  const statuses = statusesOf(filters);
  const set = (change: { [K in keyof RunFilters]: RunFilters[K] | undefined }): void => {
    const merged = Object.entries({ ...filters, ...change }).filter(
      ([, value]) => value !== undefined && value !== "",
    );
    onChange(Object.fromEntries(merged));
  };
  return (
    <div className="flex flex-wrap items-center gap-2 px-4 pb-3 sm:px-6">
      <SearchBox value={filters.q ?? ""} onChange={(q) => set({ q })} />
      <Menu
        trigger={
          <Button icon={<ListFilter className="size-3.5 text-muted" />}>
            {statuses.length > 0 ? statuses.join(", ") : "Status"}
          </Button>
        }
      >
        {STATUSES.map((status) => (
          <MenuCheck
            key={status}
            checked={statuses.includes(status)}
            onChange={(on) =>
              set({ status: STATUSES.filter((s) => (s === status ? on : statuses.includes(s))).join(",") })
            }
          >
            <span className="capitalize">{status}</span>
          </MenuCheck>
        ))}
      </Menu>
      {filters.q ? null : (
        <Menu trigger={<Button>{filters.kind ?? "Kind"}</Button>}>
          {KINDS.map((kind) => (
            <MenuCheck
              key={kind}
              checked={filters.kind === kind}
              onChange={(on) => set({ kind: on ? kind : undefined })}
            >
              <span className="capitalize">{kind}</span>
            </MenuCheck>
          ))}
        </Menu>
      )}
      <Chosen label="Agent" value={filters.agent} onClear={() => set({ agent: undefined })} />
      <Chosen label="Tag" value={filters.tag} onClear={() => set({ tag: undefined })} />
      <Chosen
        label="Made"
        value={spanText(filters)}
        onClear={() => set({ since: undefined, until: undefined })}
      />
      {isFiltered(filters) ? (
        <Button tone="ghost" onClick={() => onChange({})}>
          Clear
        </Button>
      ) : null}
    </div>
  );
}

function spanText({ since, until }: RunFilters): string | undefined {
  if (since && until) return `${moment(since)} – ${moment(until)}`;
  if (since) return `after ${moment(since)}`;
  return until ? `before ${moment(until)}` : undefined;
}

function Chosen({
  label,
  value,
  onClear,
}: {
  label: string;
  value: string | undefined;
  onClear: () => void;
}) {
  if (!value) return null;
  return (
    <Button aria-label={`Remove the filter ${label} ${value}`} onClick={onClear}>
      <span className="text-muted">{label}</span> <span className="max-w-72 truncate">{value}</span>
      <X className="size-3.5 text-muted" />
    </Button>
  );
}

/** Tells what was typed when the typing pauses. */
function SearchBox({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const [text, setText] = useState(value);
  const box = useRef<HTMLInputElement>(null);
  const latest = useRef(onChange);
  useHotkeys({ "/": () => box.current?.focus() });
  useEffect(() => {
    latest.current = onChange;
  });
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => latest.current(text.trim()), SETTLED_MS);
    return () => clearTimeout(timer);
  }, [text, value]);
  return (
    <div className="relative w-full sm:w-72">
      <Search aria-hidden="true" className="absolute top-2 left-2.5 size-4 text-faint" />
      <Input
        ref={box}
        type="search"
        aria-label="Search runs of agents"
        placeholder="Search runs of agents"
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => event.key === "Escape" && box.current?.blur()}
        className="pr-9 pl-8"
      />
      <span className="pointer-events-none absolute top-1.5 right-2">
        <KeyHint keys="/" />
      </span>
    </div>
  );
}
