import { useState } from "react";
import { INPUT } from "./Field";

interface JsonControlProps {
  id: string;
  required: boolean;
  value: unknown;
  onChange: (value: unknown) => void;
}

/** Any JSON as text; what is no JSON keeps the form from being sent. */
export function JsonControl({ id, required, value, onChange }: JsonControlProps) {
  const [text, setText] = useState(() => (value === undefined ? "" : JSON.stringify(value, null, 2)));
  return (
    <textarea
      id={id}
      rows={text.includes("\n") ? 8 : 3}
      required={required}
      spellCheck={false}
      value={text}
      onChange={(event) => {
        const written = event.target.value;
        setText(written);
        const { valid, parsed } = parse(written);
        event.target.setCustomValidity(valid ? "" : "This is no JSON; text needs quotes.");
        if (valid) onChange(parsed);
      }}
      className={`${INPUT} h-auto py-2 font-mono text-xs`}
    />
  );
}

function parse(text: string): { valid: boolean; parsed?: unknown } {
  if (text.trim() === "") return { valid: true, parsed: undefined };
  try {
    return { valid: true, parsed: JSON.parse(text) };
  } catch {
    return { valid: false };
  }
}
