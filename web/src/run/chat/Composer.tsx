import { ArrowUp, Square } from "lucide-react";
import { type KeyboardEvent, useLayoutEffect, useRef, useState } from "react";
import { call } from "@/api/client";
import { Button } from "@/design/Button";
import { toastError } from "@/design/Toast";

export interface ComposerProps {
  runId: string;
  /** A turn is going on, which can be stopped. */
  turnOpen: boolean;
}

const MOST_PX = 200;

/** The next message to an interactive run. What is sent appears in the chat as soon as the log has it. */
export function Composer({ runId, turnOpen }: ComposerProps) {
  const box = useRef<HTMLTextAreaElement>(null);
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the box is as high as its text.
  useLayoutEffect(() => {
    const area = box.current;
    if (!area) return;
    area.style.height = "auto";
    area.style.height = `${Math.min(area.scrollHeight, MOST_PX)}px`;
  }, [text]);
  const signal = async (name: string, body: Record<string, unknown>): Promise<boolean> => {
    setBusy(true);
    try {
      const path = { run_id: runId, signal_name: name };
      await call("post", "/api/v1/agents/{run_id}/signal/{signal_name}", { path, body });
      return true;
    } catch (error) {
      toastError(error);
      return false;
    } finally {
      setBusy(false);
    }
  };
  const send = async (): Promise<void> => {
    const message = text.trim();
    if (message === "" || busy) return;
    if (await signal("UserInput", { message })) {
      setText((now) => (now === text ? "" : now));
      box.current?.focus();
    }
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    void send();
  };
  return (
    <form
      className="mx-auto w-full max-w-3xl px-4 pb-4 sm:px-6"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <div className="flex items-end gap-2 rounded-xl border border-line-strong bg-surface p-1.5 pl-3 focus-within:border-accent">
        <textarea
          ref={box}
          rows={1}
          aria-label="Next message"
          placeholder={turnOpen ? "Say what comes next; it is taken up after this turn" : "Next message"}
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={onKeyDown}
          className="min-h-8 flex-1 resize-none bg-transparent py-1.5 text-base/5 outline-none placeholder:text-faint"
        />
        {turnOpen ? (
          <Button
            aria-label="Stop the turn"
            title="Stop the turn"
            icon={<Square className="size-3 fill-current" />}
            onClick={() => void signal("Stop", {})}
          />
        ) : null}
        <Button
          type="submit"
          tone="primary"
          aria-label="Send"
          busy={busy}
          disabled={text.trim() === ""}
          icon={<ArrowUp className="size-4" />}
        />
      </div>
      <p className="mt-1.5 hidden text-xs text-muted sm:block">
        Enter sends, Shift and Enter begin a new line.
      </p>
    </form>
  );
}
