import { Check, Copy } from "lucide-react";
import { useState } from "react";
import { Button } from "./Button";
import { cx } from "./cx";

export function CopyButton({ text, label = "Copy" }: { text: string; label?: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1_500);
  };
  const icon = copied ? <Check className="size-3.5" /> : <Copy className="size-3.5" />;
  return (
    <Button
      tone="ghost"
      icon={icon}
      aria-label={copied ? "Copied" : label}
      onClick={copy}
      className="size-7"
    />
  );
}

export interface CodeBlockProps {
  code: string;
  /** What the block is, for who cannot see it. */
  label?: string;
  wrap?: boolean;
  className?: string;
}

export function CodeBlock({ code, label = "Code", wrap = false, className }: CodeBlockProps) {
  return (
    <div className={cx("group relative rounded-md border border-line bg-sunken", className)}>
      <div className="absolute top-1 right-1">
        <CopyButton text={code} label={`Copy ${label.toLowerCase()}`} />
      </div>
      <pre
        tabIndex={0}
        role="region"
        aria-label={label}
        className={cx(
          "overflow-auto p-3 pr-10 font-mono text-xs/5",
          wrap && "break-words whitespace-pre-wrap",
        )}
      >
        {code}
      </pre>
    </div>
  );
}
