import { useVirtualizer } from "@tanstack/react-virtual";
import { ChartGantt, Maximize2, ZoomIn, ZoomOut } from "lucide-react";
import { useRef, useState } from "react";
import { Button } from "@/design/Button";
import { count, duration } from "@/design/format";
import { EmptyState } from "@/design/states";
import { useListKeys } from "@/hooks/useListKeys";
import { SpanPanel } from "./SpanPanel";
import { SpanRow } from "./SpanRow";
import { ticksOf } from "./ticks";
import { useSpans } from "./useSpans";

const ROW_PX = 30;
const MOST_ZOOM = 64;
/** As wide as the column of names in SpanRow. */
const NAMES = "w-36 sm:w-56";

export default function TimelineTab() {
  const { spans, until } = useSpans();
  const [zoom, setZoom] = useState(1);
  const [openId, setOpenId] = useState<string>();
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: spans.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 20,
  });
  const keys = useListKeys(spans.length, {
    open: (index) => setOpenId(spans[index]?.id),
    move: (index) => virtual.scrollToIndex(index),
  });
  const start = spans[0]?.start ?? until;
  const end = Math.max(start + 1, ...spans.map((span) => span.end ?? until));
  const open = spans.find((span) => span.id === openId);
  if (spans.length === 0) {
    return (
      <EmptyState icon={<ChartGantt className="size-6" />} title="Nothing has happened yet">
        Attempts, calls and waits appear here as soon as a worker takes the run.
      </EmptyState>
    );
  }
  const rescale = (factor: number): void => setZoom(Math.max(1, Math.min(zoom * factor, MOST_ZOOM)));
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <div className="flex items-center gap-1 border-b border-line px-4 py-2 sm:px-6">
        <Button
          aria-label="Zoom in"
          icon={<ZoomIn className="size-4" />}
          disabled={zoom >= MOST_ZOOM}
          onClick={() => rescale(2)}
        />
        <Button
          aria-label="Zoom out"
          icon={<ZoomOut className="size-4" />}
          disabled={zoom <= 1}
          onClick={() => rescale(0.5)}
        />
        <Button
          aria-label="Fit to width"
          icon={<Maximize2 className="size-3.5" />}
          disabled={zoom === 1}
          onClick={() => setZoom(1)}
        />
        <span role="status" className="ml-auto text-xs text-muted">
          {count(spans.length)} spans in {duration(end - start)}
        </span>
      </div>
      <div className="flex min-h-0 flex-1 flex-col lg:flex-row">
        <section
          ref={scroller}
          tabIndex={0}
          aria-label="Spans"
          className="min-h-0 min-w-0 flex-1 overflow-auto outline-offset-[-2px]"
        >
          <div className="min-w-full" style={{ width: `${zoom * 100}%` }}>
            <div className="sticky top-0 z-20 flex h-7 border-b border-line bg-canvas text-xs text-muted">
              <div className={`${NAMES} sticky left-0 z-10 shrink-0 bg-canvas`} />
              <div aria-hidden="true" className="relative mr-4 flex-1">
                {ticksOf(end - start, 6 * zoom).map((tick) => (
                  <span
                    key={tick}
                    className="absolute inset-y-0 border-l border-line pl-1 leading-7 whitespace-nowrap"
                    style={{ left: `${(tick / (end - start)) * 100}%` }}
                  >
                    {duration(tick)}
                  </span>
                ))}
              </div>
            </div>
            <div className="relative" style={{ height: virtual.getTotalSize() }}>
              {virtual.getVirtualItems().map((item) => {
                const span = spans[item.index];
                return span ? (
                  <SpanRow
                    key={span.id}
                    span={span}
                    names={NAMES}
                    start={start}
                    end={end}
                    until={until}
                    top={item.start}
                    height={ROW_PX}
                    open={span.id === openId}
                    current={keys.current === item.index}
                    onOpen={() => setOpenId(span.id === openId ? undefined : span.id)}
                  />
                ) : null;
              })}
            </div>
          </div>
        </section>
        {open ? <SpanPanel span={open} until={until} onClose={() => setOpenId(undefined)} /> : null}
      </div>
    </div>
  );
}
