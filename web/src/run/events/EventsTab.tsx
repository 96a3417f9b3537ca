import { useVirtualizer } from "@tanstack/react-virtual";
import { History, ListTree } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { Button } from "@/design/Button";
import { JsonView } from "@/design/JsonView";
import { EmptyState, ErrorState } from "@/design/states";
import { useListKeys } from "@/hooks/useListKeys";
import { useAt } from "../useAt";
import { EventBar } from "./EventBar";
import { EventRow } from "./EventRow";
import { useLog } from "./log";

const ROW_PX = 30;
const AT_END_PX = 40;

export default function EventsTab() {
  const log = useLog();
  const { moveTo } = useAt();
  const [types, setTypes] = useState<ReadonlySet<string>>(new Set());
  const [following, setFollowing] = useState(true);
  const [openId, setOpenId] = useState<number>();
  const scroller = useRef<HTMLDivElement>(null);
  const known = useMemo(() => [...new Set(log.events.map((event) => event.type))].sort(), [log.events]);
  const events = useMemo(
    () => (types.size === 0 ? log.events : log.events.filter((event) => types.has(event.type))),
    [log.events, types],
  );
  const virtual = useVirtualizer({
    count: events.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 20,
  });
  const { scrollToIndex } = virtual;
  useEffect(() => {
    if (following && events.length > 0) scrollToIndex(events.length - 1, { align: "end" });
  }, [following, events.length, scrollToIndex]);
  const show = (index: number): void => {
    setFollowing(false);
    scrollToIndex(index, { align: "auto" });
  };
  const keys = useListKeys(events.length, { open: (index) => setOpenId(events[index]?.id), move: show });
  const jump = (id: number): void => {
    const index = events.findIndex((event) => event.id >= id);
    if (index < 0) return;
    setFollowing(false);
    scrollToIndex(index, { align: "center" });
    keys.setCurrent(index);
    setOpenId(events[index]?.id);
  };
  const onScroll = (): void => {
    const box = scroller.current;
    if (box) setFollowing(box.scrollHeight - box.scrollTop - box.clientHeight < AT_END_PX);
  };
  const open = events.find((event) => event.id === openId);
  if (log.state === "failed") return <ErrorState error={log.error} />;
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <EventBar
        state={log.state}
        total={log.events.length}
        shown={events.length}
        known={known}
        types={types}
        onTypes={setTypes}
        following={following}
        onFollow={setFollowing}
        onJump={jump}
      />
      {events.length === 0 ? (
        <EmptyState icon={<ListTree className="size-6" />} title="No events">
          {types.size > 0 ? "None of these types yet." : "They appear as soon as a worker takes the run."}
        </EmptyState>
      ) : (
        <div className="flex min-h-0 flex-1 flex-col lg:flex-row">
          <section
            ref={scroller}
            tabIndex={0}
            aria-label="Events"
            onScroll={onScroll}
            className="min-h-0 min-w-0 flex-1 overflow-auto outline-offset-[-2px]"
          >
            <div className="relative" style={{ height: virtual.getTotalSize() }}>
              {virtual.getVirtualItems().map((item) => {
                const event = events[item.index];
                return event ? (
                  <EventRow
                    key={event.id}
                    event={event}
                    current={keys.current === item.index}
                    open={openId === event.id}
                    top={item.start}
                    height={ROW_PX}
                    onOpen={() => setOpenId(openId === event.id ? undefined : event.id)}
                  />
                ) : null;
              })}
            </div>
          </section>
          {open ? (
            <aside
              aria-label={`Event ${open.id}`}
              className="max-h-1/2 overflow-auto border-t border-line bg-surface p-4 lg:max-h-none lg:w-[26rem] lg:border-t-0 lg:border-l"
            >
              <header className="mb-2 flex items-center justify-between gap-3">
                <h2 className="truncate font-mono text-xs font-semibold">
                  {open.id} {open.type}
                </h2>
                <Button icon={<History className="size-3.5" />} onClick={() => moveTo(open.id)}>
                  Go back to here
                </Button>
              </header>
              <JsonView value={open.payload} open={4} />
            </aside>
          ) : null}
        </div>
      )}
    </div>
  );
}
