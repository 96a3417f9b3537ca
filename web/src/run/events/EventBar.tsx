import { ArrowDownToLine, ListFilter } from "lucide-react";
import { type FormEvent, useRef } from "react";
import type { StreamState } from "@/api/sse";
import { Button } from "@/design/Button";
import { cx } from "@/design/cx";
import { Input } from "@/design/Field";
import { count } from "@/design/format";
import { Menu, MenuCheck } from "@/design/Menu";
import { useHotkeys } from "@/hooks/useHotkeys";

const WORDS: Record<StreamState, string> = {
  connecting: "Connecting",
  live: "Live",
  waiting: "Reconnecting",
  ended: "Ended",
  failed: "Failed",
};

export interface EventBarProps {
  state: StreamState;
  total: number;
  shown: number;
  known: readonly string[];
  types: ReadonlySet<string>;
  onTypes: (types: ReadonlySet<string>) => void;
  following: boolean;
  onFollow: (following: boolean) => void;
  onJump: (id: number) => void;
}

export function EventBar(props: EventBarProps) {
  const { state, total, shown, known, types, onTypes, following, onFollow, onJump } = props;
  const box = useRef<HTMLInputElement>(null);
  useHotkeys({ "/": () => box.current?.focus() });
  const jump = (event: FormEvent): void => {
    event.preventDefault();
    const id = Number(box.current?.value);
    if (Number.isInteger(id) && id > 0) onJump(id);
  };
  const toggle = (type: string, on: boolean): void => {
    const next = new Set(types);
    if (on) next.add(type);
    else next.delete(type);
    onTypes(next);
  };
  return (
    <div className="flex flex-wrap items-center gap-2 border-b border-line px-4 py-2 sm:px-6">
      <Menu
        trigger={
          <Button icon={<ListFilter className="size-3.5 text-muted" />}>
            {types.size > 0 ? `${types.size} of ${known.length} types` : "All types"}
          </Button>
        }
      >
        {known.map((type) => (
          <MenuCheck key={type} checked={types.has(type)} onChange={(on) => toggle(type, on)}>
            <span className="font-mono text-xs">{type}</span>
          </MenuCheck>
        ))}
      </Menu>
      <form onSubmit={jump}>
        <Input
          ref={box}
          inputMode="numeric"
          aria-label="Jump to event id"
          placeholder="Jump to id"
          className="w-28"
        />
      </form>
      <Button
        tone={following ? "plain" : "ghost"}
        aria-pressed={following}
        icon={<ArrowDownToLine className="size-3.5" />}
        onClick={() => onFollow(!following)}
      >
        Follow
      </Button>
      <span className="ml-auto flex items-center gap-2 text-xs text-muted" role="status">
        {shown === total ? count(total) : `${count(shown)} of ${count(total)}`} events
        <span
          aria-hidden="true"
          className={cx(
            "size-2 rounded-full",
            state === "live" ? "breathing bg-running" : state === "ended" ? "bg-line-strong" : "bg-waiting",
          )}
        />
        {WORDS[state]}
      </span>
    </div>
  );
}
