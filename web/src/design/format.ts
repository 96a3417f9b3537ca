// Numbers and times for people, in the language of the browser.

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
] as const;

/** `820 ms`, `4.2 s`, `3 m 20 s`, `2 h 5 m`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1_000) return `${Math.max(0, Math.round(milliseconds))} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1_000).toFixed(1)} s`;
  const at = UNITS.findIndex(([, size]) => milliseconds >= size);
  const [unit, size] = UNITS[at] ?? UNITS[3];
  const [small, smallSize] = UNITS[at + 1] ?? UNITS[3];
  const rest = Math.floor((milliseconds % size) / smallSize);
  return `${Math.floor(milliseconds / size)} ${unit}${rest > 0 ? ` ${rest} ${small}` : ""}`;
}

/** `just now`, `12 s ago`, `3 m ago`, then the day. */
export function ago(iso: string, now: number): string {
  const passed = now - Date.parse(iso);
  if (passed < 5_000) return "just now";
  if (passed < 60_000) return `${Math.floor(passed / 1_000)} s ago`;
  if (passed < 3_600_000) return `${Math.floor(passed / 60_000)} m ago`;
  if (passed < 86_400_000) return `${Math.floor(passed / 3_600_000)} h ago`;
  return day.format(new Date(iso));
}

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  hourCycle: "h23",
});

export function moment(iso: string): string {
  return exact.format(new Date(iso));
}

/** The time of day, with milliseconds. */
export function timeOfDay(milliseconds: number): string {
  return clock.format(new Date(milliseconds));
}

const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });

/** `820`, `12.3K`, `4M`. */
export function roughly(value: number): string {
  return compact.format(value);
}

export function count(value: number): string {
  return value.toLocaleString();
}
