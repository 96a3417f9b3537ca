import { connection } from "@/api/connection";
import { useStore } from "@/api/store";
import { cx } from "@/design/cx";

export function ConnectionDot() {
  const online = useStore(connection) === "online";
  return (
    <span className="flex items-center gap-2 px-2 text-xs text-muted">
      <span
        aria-hidden="true"
        className={cx("size-2 rounded-full", online ? "bg-good" : "breathing bg-bad")}
      />
      {online ? "Connected" : "Reconnecting"}
    </span>
  );
}
