import { useMemo, useState } from "react";
import { beginChat, foldChat } from "@/log/chat/fold";
import type { Chat } from "@/log/chat/items";
import type { LogEvent } from "@/log/event";

/** The chat of a run's events. Events that come are folded into what is there; another log, or less of it, begins anew. */
export function useChat(input: unknown, events: readonly LogEvent[]): Chat {
  const [folded] = useState(() => new Folded());
  return useMemo(() => folded.upTo(input, events), [folded, input, events]);
}

class Folded {
  #input: unknown;
  #count = 0;
  #last: LogEvent | undefined;
  #chat: Chat | undefined;

  upTo(input: unknown, events: readonly LogEvent[]): Chat {
    const goesOn =
      this.#chat !== undefined &&
      input === this.#input &&
      events.length >= this.#count &&
      events[this.#count - 1] === this.#last;
    const before = goesOn && this.#chat ? this.#chat : beginChat(input);
    const chat = foldChat(before, goesOn ? events.slice(this.#count) : events);
    this.#input = input;
    this.#count = events.length;
    this.#last = events.at(-1);
    this.#chat = chat;
    return chat;
  }
}
