import { isValidElement, memo, type ReactNode } from "react";
import ReactMarkdown, { type Components } from "react-markdown";
import remarkGfm from "remark-gfm";
import { CodeBlock } from "./CodeBlock";
import "./markdown.css";

const PLUGINS = [remarkGfm];

// Raw HTML is shown as it is written. Pictures from elsewhere are links: the page loads nothing that a model names.
const COMPONENTS: Components = {
  pre: ({ children }) => {
    const { text, language } = codeIn(children);
    return <CodeBlock code={text.replace(/\n$/, "")} label={language ? `${language} code` : "Code"} />;
  },
  a: ({ href, children }) => (
    <a href={href} target="_blank" rel="noopener noreferrer">
      {children}
    </a>
  ),
  img: ({ src, alt }) => (
    <a href={typeof src === "string" ? src : undefined} target="_blank" rel="noopener noreferrer">
      {alt || "Picture"}
    </a>
  ),
  table: ({ children }) => (
    <div tabIndex={0} role="region" aria-label="Table" className="overflow-x-auto">
      <table>{children}</table>
    </div>
  ),
  input: ({ checked }) => (
    <input
      type="checkbox"
      checked={checked === true}
      readOnly
      disabled
      aria-label={checked ? "Done" : "To do"}
      className="mr-1.5 align-[-2px]"
    />
  ),
};

export interface MarkdownProps {
  text: string;
  /** More of it is being written: show a caret. */
  open?: boolean;
}

/** A model's words. */
export const Markdown = memo(function Markdown({ text, open = false }: MarkdownProps) {
  return (
    <div className="markdown" data-open={open || undefined}>
      <ReactMarkdown remarkPlugins={PLUGINS} components={COMPONENTS}>
        {text}
      </ReactMarkdown>
    </div>
  );
});

function codeIn(children: ReactNode): { text: string; language: string | undefined } {
  if (!isValidElement<{ className?: string; children?: ReactNode }>(children))
    return { text: String(children ?? ""), language: undefined };
  const { className, children: text } = children.props;
  return { text: String(text ?? ""), language: /language-(\S+)/.exec(className ?? "")?.[1] };
}
