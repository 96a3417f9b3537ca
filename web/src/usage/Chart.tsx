import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import "./chart.css";
import { useStore } from "@/api/store";
import { theme } from "@/app/theme";

export interface Line {
  label: string;
  /** The name of a colour of the palette, such as `--good`. */
  colour: string;
  values: readonly (number | null)[];
}

export interface ChartProps {
  label: string;
  /** Seconds since 1970. */
  times: readonly number[];
  lines: readonly Line[];
  format: (value: number) => string;
}

const HEIGHT_PX = 170;
const DAY_SECONDS = 86_400;

const span = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});
const hour = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

/** Lines over time. The same figures stand in a table for who cannot see them. */
export default function Chart({ label, times, lines, format }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const chosen = useStore(theme);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another theme has other colours
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    let plot = draw(element, { label, times, lines, format });
    const watch = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT_PX }));
    watch.observe(element);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const redraw = (): void => {
      plot.destroy();
      plot = draw(element, { label, times, lines, format });
    };
    dark.addEventListener("change", redraw);
    return () => {
      watch.disconnect();
      dark.removeEventListener("change", redraw);
      plot.destroy();
    };
  }, [label, times, lines, format, chosen]);
  return <div ref={place} role="img" aria-label={label} className="min-h-50 text-xs text-muted" />;
}

function draw(element: HTMLElement, { times, lines, format }: ChartProps): uPlot {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--muted"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
    font: `11px ${style.fontFamily}`,
  };
  const told = (_: uPlot, value: number | null): string => (value === null ? "–" : format(value));
  const toldTime = (_: uPlot, seconds: number | null): string =>
    seconds === null ? "–" : span.format(new Date(seconds * 1_000));
  const newest = { idx: times.length - 1 };
  return new uPlot(
    {
      width: element.clientWidth,
      height: HEIGHT_PX,
      cursor: { points: { size: 6 }, drag: { x: false, y: false } },
      scales: { y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] } },
      axes: [
        { ...axis, size: 32, space: 60, values: (_, splits, __, ___, step) => splits.map(timeWords(step)) },
        { ...axis, size: 52, values: (_, splits) => splits.map(format) },
      ],
      hooks: {
        // Nobody points at a moment: the legend tells of the newest.
        ready: [(plot) => plot.setLegend(newest)],
        setLegend: [(plot) => plot.legend.idx ?? plot.setLegend(newest)],
      },
      series: [
        { label: "From", value: toldTime },
        ...lines.map((line) => ({
          label: line.label,
          stroke: colour(line.colour),
          ...(lines.length === 1
            ? { fill: `color-mix(in srgb, ${colour(line.colour)} 10%, transparent)` }
            : {}),
          width: 1.5,
          spanGaps: true,
          points: { size: 4, fill: colour(line.colour) },
          value: told,
        })),
      ],
    },
    [[...times], ...lines.map((line) => [...line.values])],
    element,
  );
}

/** How the axis names moments (seconds since 1970) that lie so many seconds apart: by the day, or by the time of day. */
function timeWords(step: number): (seconds: number) => string {
  const words = step >= DAY_SECONDS ? day : hour;
  return (seconds) => words.format(new Date(seconds * 1_000));
}
