import { ArrowDown } from "lucide-react";
import { type ReactNode, useEffect, useLayoutEffect, useRef, useState } from "react";
import { Button } from "@/design/Button";
import { useNewestFirst } from "@/hooks/useNewestFirst";
import { type Item, keyOf } from "@/log/chat/items";
import { ChatItem } from "./ChatItem";

const AT_END_PX = 48;
/** Items that are drawn without being asked for, and with each press of the button above them. */
const WINDOW = 40;
/** Items that are drawn before anything else: what is in view. */
const AT_ONCE = 10;

export interface ThreadProps {
  runId: string;
  items: readonly Item[];
  /** What stands after the last item. */
  children: ReactNode;
}

/** The items, of which a long chat draws the newest. It stays at its end while more comes, unless the reader scrolled up. */
export function Thread({ runId, items, children }: ThreadProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const [first, setFirst] = useState<number>();
  const { following, onScroll, toEnd } = useStickToEnd(scroller, content);
  const { begin, earlier, showEarlier } = useEarlier(scroller, items.length, first, setFirst);
  return (
    <div className="relative flex min-h-0 flex-1 flex-col">
      <section
        ref={scroller}
        tabIndex={0}
        aria-label="Chat"
        onScroll={onScroll}
        className="min-h-0 flex-1 overflow-y-auto outline-offset-[-2px]"
      >
        <div ref={content} className="mx-auto flex max-w-3xl flex-col gap-4 px-4 py-6 sm:px-6">
          {earlier > 0 ? (
            <Button className="self-center" onClick={showEarlier}>
              Show earlier messages ({earlier})
            </Button>
          ) : null}
          {items.slice(begin).map((item) => (
            <ChatItem key={keyOf(item)} runId={runId} item={item} />
          ))}
          {children}
        </div>
      </section>
      {following ? null : (
        <div className="pointer-events-none absolute inset-x-0 bottom-3 flex justify-center">
          <Button
            className="pointer-events-auto rounded-full shadow-pop"
            icon={<ArrowDown className="size-3.5" />}
            onClick={toEnd}
          >
            Jump to latest
          </Button>
        </div>
      )}
    </div>
  );
}

type Box = React.RefObject<HTMLDivElement | null>;

/** Keep the end in view while the content grows; a reader who scrolls up is left in peace. */
function useStickToEnd(scroller: Box, content: Box) {
  const [following, setFollowing] = useState(true);
  const sticks = useRef(true);
  const toEnd = (): void => {
    const box = scroller.current;
    if (box) box.scrollTop = box.scrollHeight;
  };
  useEffect(() => {
    const box = scroller.current;
    const inner = content.current;
    if (!box || !inner) return;
    const watch = new ResizeObserver(() => {
      if (sticks.current) box.scrollTop = box.scrollHeight;
    });
    watch.observe(inner);
    watch.observe(box);
    return () => watch.disconnect();
  }, [scroller, content]);
  const onScroll = (): void => {
    const box = scroller.current;
    if (!box) return;
    sticks.current = box.scrollHeight - box.scrollTop - box.clientHeight < AT_END_PX;
    setFollowing(sticks.current);
  };
  return { following, onScroll, toEnd };
}

/** The window on a long chat: it grows at its top when asked, and what is being read stays where it is. */
function useEarlier(
  scroller: Box,
  count: number,
  first: number | undefined,
  setFirst: (first: number) => void,
) {
  const below = useRef<number>(undefined);
  const goal = Math.max(0, count - WINDOW);
  const newest = useNewestFirst(count, goal, AT_ONCE);
  const earlier = Math.min(first ?? goal, goal);
  const begin = first === undefined ? newest : earlier;
  // biome-ignore lint/correctness/useExhaustiveDependencies: only a window that has grown moves what is in view.
  useLayoutEffect(() => {
    const box = scroller.current;
    if (box && below.current !== undefined) box.scrollTop = box.scrollHeight - below.current;
    below.current = undefined;
  }, [first]);
  const showEarlier = (): void => {
    const box = scroller.current;
    if (box) below.current = box.scrollHeight - box.scrollTop;
    setFirst(Math.max(0, earlier - WINDOW));
  };
  return { begin, earlier, showEarlier };
}
