import { useWaiting } from "./useWaiting";

const EVERY_MS = 5_000;

/** How many questions wait for a person; nothing where none does. */
export function WaitingCount() {
  const { questions, more } = useWaiting(EVERY_MS);
  if (questions.length === 0) return null;
  return (
    <span className="ml-auto rounded-full bg-waiting-soft px-1.5 text-2xs font-semibold text-waiting">
      {questions.length}
      {more ? "+" : ""}
      <span className="sr-only"> waiting</span>
    </span>
  );
}
