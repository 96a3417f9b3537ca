import { Dialog } from "@/design/Dialog";
import { KeyHint } from "@/design/KeyHint";

const KEYS = [
  ["/", "Search, or jump to an event"],
  ["j", "Next row"],
  ["k", "Row before"],
  ["o", "Open the row"],
  ["x", "Select the row"],
  ["←", "Event before (on a run)"],
  ["→", "Next event (on a run)"],
  ["l", "Back to live (on a run)"],
  ["a", "Approve (on Approvals)"],
  ["r", "Reject (on Approvals)"],
  ["?", "This help"],
  ["Esc", "Close"],
] as const;

export function HelpDialog({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title="Keyboard">
      <dl className="grid grid-cols-[auto_1fr] items-center gap-x-4 gap-y-2">
        {KEYS.map(([key, what]) => (
          <div key={key} className="contents">
            <dt>
              <KeyHint keys={key} />
            </dt>
            <dd className="text-muted">{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
