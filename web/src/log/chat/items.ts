// What a chat shows. An item is replaced, never changed, so that only what has moved is drawn again.

interface Base {
  /** As the log names it; unique among items of a kind. */
  id: string;
  /** When it began, milliseconds since 1970; null where nobody says. */
  at: number | null;
  /** Why it was taken back (`attempt_lost`, `model_retry`, `restarted`); null while it stands. */
  back: string | null;
}

/** `answers`: it was no turn of its own, but the answer to what the run had asked. */
export interface UserItem extends Base {
  kind: "user";
  text: string;
  answers: boolean;
}

export interface TextItem extends Base {
  kind: "text";
  text: string;
  /** More of it may come. */
  open: boolean;
}

export interface ReasoningItem extends Base {
  kind: "reasoning";
  text: string;
  open: boolean;
  endedAt: number | null;
}

export type WaitReason = "tool" | "approval" | "event" | "input";

export interface ToolResult {
  messageId: string | null;
  content: string;
  isError: boolean;
  cancelled: boolean;
}

export interface Decision {
  approved: boolean;
  message: string | null;
}

export interface ToolItem extends Base {
  kind: "tool";
  name: string;
  /** JSON, as far as it has come. */
  args: string;
  open: boolean;
  endedAt: number | null;
  result: ToolResult | null;
  /** Set while the run waits for somebody's answer to this call. */
  waitsFor: WaitReason | null;
  decision: Decision | null;
  /** What an agent elsewhere asks in its own words. */
  question: string | null;
}

/** An input request as events tell it. */
export interface AskedInput {
  id: string;
  conversationId: string;
  status: string;
  title: string;
  description: string | null;
  fields: readonly Record<string, unknown>[];
  latestResponse: { values: Record<string, unknown> } | null;
}

export interface InputItem extends Base {
  kind: "input";
  request: AskedInput;
}

/** What happened beside the conversation. `runId`: another run that it is about. */
export interface NoticeItem extends Base {
  kind: "notice";
  tone: "plain" | "waiting" | "bad";
  text: string;
  detail: unknown;
  runId: string | null;
}

/** Words that stand before the conversation: the system's. */
export interface SystemItem extends Base {
  kind: "system";
  text: string;
}

export type Item = UserItem | TextItem | ReasoningItem | ToolItem | InputItem | NoticeItem | SystemItem;

export interface Usage {
  model: string | null;
  inputTokens: number | null;
  outputTokens: number | null;
}

export interface Ending {
  status: "completed" | "failed" | "cancelled";
  message: string | null;
  code: string | null;
  usage: Usage | null;
}

export interface Chat {
  items: readonly Item[];
  /** What the user has said and no turn has taken up yet. */
  queued: readonly UserItem[];
  /** How far the agent says it is. */
  progress: string | null;
  /** The run waits; `until`: when it goes on by itself, milliseconds since 1970. */
  waiting: { reason: string; until: number | null } | null;
  /** What the last turn took, where turns are told. */
  turn: { stopped: boolean; usage: Usage | null } | null;
  end: Ending | null;
}

export const EMPTY_CHAT: Chat = {
  items: [],
  queued: [],
  progress: null,
  waiting: null,
  turn: null,
  end: null,
};

/** The key of an item in the page, and the one under which events find it. */
export function keyOf(item: Item): string {
  return `${item.kind === "text" || item.kind === "reasoning" ? "message" : item.kind}:${item.id}`;
}
