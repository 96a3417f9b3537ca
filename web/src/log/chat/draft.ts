// A chat while events are folded into it. It lives for one call of `foldChat`, and is the only thing there that changes.
import {
  type Chat,
  type Ending,
  type Item,
  keyOf,
  type NoticeItem,
  type ToolItem,
  type UserItem,
} from "./items";

type Notice = Pick<NoticeItem, "text"> & Partial<Pick<NoticeItem, "tone" | "detail" | "runId">>;

export class Draft {
  readonly #items: Item[];
  readonly #places = new Map<string, number>();
  #rest: Omit<Chat, "items">;

  constructor(before: Chat) {
    const { items, ...rest } = before;
    this.#items = [...items];
    this.#rest = rest;
    items.forEach((item, index) => {
      this.#places.set(keyOf(item), index);
    });
  }

  chat(): Chat {
    return { items: this.#items, ...this.#rest };
  }

  set(change: Partial<Omit<Chat, "items">>): void {
    this.#rest = { ...this.#rest, ...change };
  }

  has(key: string): boolean {
    return this.#places.has(key);
  }

  /** The id of the newest item of a kind: what a chunk without an id goes on with. */
  lastId(kind: Item["kind"]): string {
    return this.#items.findLast((item) => item.kind === kind)?.id ?? `${kind}-1`;
  }

  add(item: Item): void {
    const key = keyOf(item);
    // Outside writers may use an id twice: the page needs each once, and events mean the newest.
    const known = this.#places.get(key);
    const earlier = known === undefined ? undefined : this.#items[known];
    if (known !== undefined && earlier) this.#items[known] = { ...earlier, id: `${earlier.id}#${known}` };
    this.#places.set(key, this.#items.length);
    this.#items.push(item);
  }

  addCall(id: string, name: string, at: number | null): void {
    this.add({
      ...{ kind: "tool", id, name, at, back: null, args: "", open: true, endedAt: null },
      ...{ result: null, waitsFor: null, decision: null, question: null },
    });
  }

  /** Say something beside the conversation. `at` makes its id, with its place. */
  notice(notice: Notice, at: number | null): void {
    const id = `notice-${this.#items.length}`;
    this.add({ kind: "notice", id, at, back: null, tone: "plain", detail: null, runId: null, ...notice });
  }

  /** More words of a message. */
  say(id: string, delta: string): void {
    this.change(`message:${id}`, (item) => ("text" in item ? { ...item, text: item.text + delta } : item));
    this.change(`user:${id}`, (item) => ("text" in item ? { ...item, text: item.text + delta } : item));
  }

  closeMessage(id: string, at: number | null): void {
    this.change(`message:${id}`, (item) => closed(item, at));
  }

  changeCall(id: string, change: (call: ToolItem) => Partial<ToolItem>): void {
    this.change(`tool:${id}`, (item) => (item.kind === "tool" ? { ...item, ...change(item) } : item));
  }

  change(key: string, change: (item: Item) => Item): void {
    const place = this.#places.get(key);
    const item = place === undefined ? undefined : this.#items[place];
    if (place !== undefined && item) this.#items[place] = change(item);
  }

  changeAll(change: (item: Item) => Item): void {
    this.#items.forEach((item, place) => {
      this.#items[place] = change(item);
    });
  }

  /** Take a message back, or a result alone: a result's id is one of messages, too. */
  takeBack(messageId: string, reason: string): void {
    this.change(`message:${messageId}`, (item) => ({ ...closed(item, null), back: reason }));
    this.changeAll((item) =>
      item.kind === "tool" && item.result?.messageId === messageId
        ? { ...item, result: null, endedAt: null }
        : item,
    );
  }

  /** What the user says, in its place in the conversation as soon as a turn takes it up. */
  queue(item: UserItem): void {
    this.set({ queued: [...this.#rest.queued, item] });
  }

  takeUp(): void {
    const [next, ...queued] = this.#rest.queued;
    if (next) this.add(next);
    this.set({ queued, turn: null });
  }

  /** The attempt is over: what was open says no more, and nothing waits for an answer. */
  rest(): void {
    this.changeAll((item) => (item.kind === "tool" && item.waitsFor ? { ...item, waitsFor: null } : item));
    this.changeAll((item) => closed(item, null));
    this.set({ waiting: null, progress: null });
  }

  end(end: Ending): void {
    this.rest();
    this.set({ end });
  }
}

function closed(item: Item, at: number | null): Item {
  if (!("open" in item) || !item.open) return item;
  return item.kind === "reasoning"
    ? { ...item, open: false, endedAt: item.endedAt ?? at }
    : { ...item, open: false };
}
