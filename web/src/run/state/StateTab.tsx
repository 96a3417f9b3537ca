import { Braces } from "lucide-react";
import { useMemo } from "react";
import { CopyButton } from "@/design/CodeBlock";
import { cx } from "@/design/cx";
import { timeOfDay } from "@/design/format";
import { JsonView } from "@/design/JsonView";
import { EmptyState } from "@/design/states";
import { useWholeLog } from "../events/log";
import { useAt } from "../useAt";
import { Changes } from "./Changes";
import { changesBetween, historyOf } from "./history";

const SHOWN = 300;

export default function StateTab() {
  const { events } = useWholeLog();
  const { at, moveTo } = useAt();
  const moments = useMemo(() => historyOf(events), [events]);
  const current =
    at === undefined ? moments.length - 1 : moments.findLastIndex(({ event }) => event.id <= at);
  const moment = moments[current];
  const changes = useMemo(
    () => changesBetween(moments[current - 1]?.state ?? {}, moments[current]?.state ?? {}),
    [moments, current],
  );
  if (moments.length === 0) {
    return (
      <EmptyState icon={<Braces className="size-6" />} title="No state">
        This run has not said anything of its state. An agent does so with the events STATE_SNAPSHOT and
        STATE_DELTA.
      </EmptyState>
    );
  }
  const first = Math.max(0, Math.min(current - SHOWN / 2, moments.length - SHOWN));
  return (
    <div className="flex min-h-0 flex-1 flex-col lg:flex-row">
      <section
        tabIndex={0}
        aria-label="State"
        className="relative min-h-40 min-w-0 flex-1 overflow-auto p-4 outline-offset-[-2px] sm:px-6"
      >
        <div className="absolute top-3 right-4">
          <CopyButton text={JSON.stringify(moment?.state ?? {}, null, 2)} label="Copy the state" />
        </div>
        {moment ? (
          <JsonView key={moment.event.id} value={moment.state} open={4} />
        ) : (
          <p className="text-muted">No state yet at this event.</p>
        )}
      </section>
      <aside
        tabIndex={0}
        aria-label="Changes"
        className="flex max-h-1/2 flex-col gap-4 overflow-auto border-t border-line bg-surface p-4 outline-offset-[-2px] lg:max-h-none lg:w-[26rem] lg:border-t-0 lg:border-l"
      >
        <section className="flex flex-col gap-2">
          <h2 className="text-xs font-semibold">
            {moment ? `Changed at event ${moment.event.id}` : "Nothing has changed yet"}
          </h2>
          <Changes changes={changes} />
        </section>
        <section className="flex flex-col gap-1">
          <h2 className="text-xs font-semibold">History</h2>
          <ol>
            {moments.slice(first, first + SHOWN).map(({ event }, index) => (
              <li key={event.id}>
                <button
                  type="button"
                  aria-current={first + index === current ? "step" : undefined}
                  onClick={() => moveTo(event.id)}
                  className={cx(
                    "flex w-full gap-3 rounded px-2 py-1 text-left font-mono text-xs text-muted hover:bg-hover",
                    first + index === current && "bg-accent-soft text-accent-ink",
                  )}
                >
                  <span className="w-12 text-right">{event.id}</span>
                  <span>{event.type}</span>
                  <span className="ml-auto">{timeOfDay(event.at)}</span>
                </button>
              </li>
            ))}
          </ol>
        </section>
      </aside>
    </div>
  );
}
