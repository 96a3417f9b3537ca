/** A refusal by the server, in its own words (RFC 9457, or the closed object of the Agent Runs API). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    /** Stable, for programs. */
    readonly code: string,
    detail: string,
    /** What to do about it, where the server knows. */
    readonly suggestion: string | undefined,
    readonly requestId: string | undefined,
  ) {
    super(detail);
    this.name = "Problem";
  }
}

/** The server could not be asked at all: it is away, or the network is. */
export class Unreachable extends Error {
  constructor() {
    super("The server cannot be reached.");
    this.name = "Unreachable";
  }
}

export async function problemOf(response: Response): Promise<Problem> {
  const requestId = response.headers.get("x-request-id") ?? undefined;
  const body: unknown = await response.json().catch(() => null);
  const said = (name: string): string | undefined => {
    const value =
      body !== null && typeof body === "object" ? (body as Record<string, unknown>)[name] : undefined;
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const code = said("code") ?? said("error") ?? `http_${response.status}`;
  const detail =
    said("detail") ?? said("message") ?? said("title") ?? `The server answered ${response.status}.`;
  return new Problem(response.status, code, detail, said("suggestion"), requestId);
}

/** One sentence for a person. */
export function messageOf(error: unknown): string {
  if (error instanceof Problem && error.suggestion) return `${error.message} ${error.suggestion}`;
  return error instanceof Error ? error.message : String(error);
}
