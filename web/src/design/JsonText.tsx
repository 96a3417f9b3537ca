import { CodeBlock } from "./CodeBlock";
import { JsonView } from "./JsonView";

const MOST = 20_000;

/** JSON as a tree, anything else as it is. Text that is not whole yet is shown as far as it has come. */
export function JsonText({ text }: { text: string }) {
  const value = parsed(text);
  if (value !== undefined && typeof value === "object") return <JsonView value={value} open={2} />;
  const words = typeof value === "string" ? value : text;
  return <CodeBlock code={words.length > MOST ? `${words.slice(0, MOST)}…` : words} label="Text" wrap />;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
