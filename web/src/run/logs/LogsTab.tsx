import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDownToLine, Download, ScrollText, WrapText } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { Button } from "@/design/Button";
import { Input } from "@/design/Field";
import { count } from "@/design/format";
import { saveAs } from "@/design/saveAs";
import { EmptyState } from "@/design/states";
import { useHotkeys } from "@/hooks/useHotkeys";
import { useLog } from "../events/log";
import { useRunId } from "../useRun";
import { LogLine } from "./LogLine";
import { linesOf } from "./lines";

const LINE_PX = 20;
const AT_END_PX = 40;
const EDGE_PX = 8;

export default function LogsTab() {
  const runId = useRunId();
  const { events } = useLog();
  const [sought, setSought] = useState("");
  const [wrap, setWrap] = useState(true);
  const [following, setFollowing] = useState(true);
  const scroller = useRef<HTMLDivElement>(null);
  const box = useRef<HTMLInputElement>(null);
  const all = useMemo(() => linesOf(events), [events]);
  const lines = useMemo(() => {
    const word = sought.toLowerCase();
    return word === "" ? all : all.filter((line) => line.text.toLowerCase().includes(word));
  }, [all, sought]);
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => LINE_PX,
    overscan: 30,
    paddingStart: EDGE_PX,
    paddingEnd: EDGE_PX,
  });
  const { scrollToIndex } = virtual;
  useEffect(() => {
    if (following && lines.length > 0) scrollToIndex(lines.length - 1, { align: "end" });
  }, [following, lines.length, scrollToIndex]);
  useHotkeys({ "/": () => box.current?.focus() });
  const onScroll = (): void => {
    const view = scroller.current;
    if (view) setFollowing(view.scrollHeight - view.scrollTop - view.clientHeight < AT_END_PX);
  };
  const download = (): void => {
    const text = all.map((line) => `${line.text}\n`).join("");
    saveAs(new Blob([text], { type: "text/plain" }), `${runId}.log`);
  };
  if (all.length === 0) {
    return (
      <EmptyState icon={<ScrollText className="size-6" />} title="No logs">
        What a task prints, and what a workflow says with <code>ctx.log</code>, appears here.
      </EmptyState>
    );
  }
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <div className="flex flex-wrap items-center gap-2 border-b border-line px-4 py-2 sm:px-6">
        <div className="w-56">
          <Input
            ref={box}
            type="search"
            aria-label="Search in the logs"
            placeholder="Search"
            value={sought}
            onChange={(event) => setSought(event.target.value)}
          />
        </div>
        <Button
          tone={following ? "plain" : "ghost"}
          aria-pressed={following}
          icon={<ArrowDownToLine className="size-3.5" />}
          onClick={() => setFollowing(!following)}
        >
          Follow
        </Button>
        <Button
          tone={wrap ? "plain" : "ghost"}
          aria-pressed={wrap}
          icon={<WrapText className="size-3.5" />}
          onClick={() => setWrap(!wrap)}
        >
          Wrap
        </Button>
        <Button tone="ghost" icon={<Download className="size-3.5" />} onClick={download}>
          Download
        </Button>
        <span role="status" className="ml-auto text-xs text-muted">
          {lines.length === all.length ? count(all.length) : `${count(lines.length)} of ${count(all.length)}`}{" "}
          lines
        </span>
      </div>
      <section
        ref={scroller}
        tabIndex={0}
        aria-label="Logs"
        onScroll={onScroll}
        className="min-h-0 flex-1 overflow-auto outline-offset-[-2px]"
      >
        <div className="relative min-w-full" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const line = lines[item.index];
            return line ? (
              <LogLine
                key={line.key}
                ref={virtual.measureElement}
                index={item.index}
                line={line}
                wrap={wrap}
                top={item.start}
              />
            ) : null;
          })}
        </div>
      </section>
    </div>
  );
}
