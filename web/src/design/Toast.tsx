import { X } from "lucide-react";
import { Toast as Radix } from "radix-ui";
import { messageOf } from "@/api/problem";
import { Store, useStore } from "@/api/store";
import { cx } from "./cx";

interface Note {
  id: number;
  text: string;
  tone: "plain" | "bad";
}

const notes = new Store<readonly Note[]>([]);
const SHOWN_MS = 5_000;
let latest = 0;

/** Say something at the edge of the page, for a few seconds. */
export function toast(text: string, tone: Note["tone"] = "plain"): void {
  latest += 1;
  notes.set([...notes.get(), { id: latest, text, tone }]);
}

/** Say that something went wrong. */
export function toastError(error: unknown): void {
  toast(messageOf(error), "bad");
}

/** Where toasts appear; once, around the page. */
export function Toaster() {
  const shown = useStore(notes);
  const close = (id: number): void => notes.set(notes.get().filter((note) => note.id !== id));
  return (
    <Radix.Provider duration={SHOWN_MS} swipeDirection="right">
      {shown.map((note) => (
        <Radix.Root
          key={note.id}
          onOpenChange={(open) => !open && close(note.id)}
          className={cx(
            "rising flex items-start gap-3 rounded-lg border border-line bg-surface px-3.5 py-2.5 shadow-pop",
            note.tone === "bad" && "border-l-2 border-l-bad",
          )}
        >
          <Radix.Description className="text-sm">{note.text}</Radix.Description>
          <Radix.Close aria-label="Close" className="mt-0.5 text-faint hover:text-ink">
            <X className="size-4" />
          </Radix.Close>
        </Radix.Root>
      ))}
      <Radix.Viewport className="fixed right-4 bottom-4 z-50 flex w-[min(24rem,calc(100vw-2rem))] flex-col gap-2 outline-none" />
    </Radix.Provider>
  );
}
