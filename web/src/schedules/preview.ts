// When a schedule would fire, told while its expression is written. What counts is the server's own reckoning, which the
// list shows as the next fire.
import { Cron } from "croner";

const SHOWN = 3;
const FIELDS = 5;

/** The next fires, or null where the expression or the time zone is none. */
export function nextFires(cron: string, zone: string): readonly Date[] | null {
  if (cron.trim().split(/\s+/).length !== FIELDS) return null;
  try {
    return new Cron(cron, { timezone: zone, paused: true }).nextRuns(SHOWN);
  } catch {
    return null;
  }
}

/** A time as the clocks of that zone say it. */
export function inZone(time: Date, zone: string): string {
  const words = {
    weekday: "short",
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
  } as const;
  return new Intl.DateTimeFormat(undefined, { ...words, timeZone: zone, timeZoneName: "short" }).format(time);
}
