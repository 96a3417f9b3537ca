import { CloudOff } from "lucide-react";
import { connection, probeNow } from "@/api/connection";
import { useStore } from "@/api/store";

/** Says that the server is away, and goes by itself when it is back. */
export function AwayBanner() {
  const away = useStore(connection) === "away";
  return (
    <div role="status" aria-live="polite">
      {away ? (
        <div className="flex items-center justify-center gap-2 border-b border-line bg-waiting-soft px-4 py-1.5 text-sm text-waiting">
          <CloudOff aria-hidden="true" className="size-4 shrink-0" />
          <span>The server is away. Reconnecting; nothing is lost.</span>
          <button type="button" className="font-medium underline" onClick={probeNow}>
            Try now
          </button>
        </div>
      ) : null}
    </div>
  );
}
