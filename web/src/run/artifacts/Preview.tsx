import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { send } from "@/api/client";
import { CodeBlock } from "@/design/CodeBlock";
import { JsonView } from "@/design/JsonView";
import { EmptyState, ErrorState, Skeleton } from "@/design/states";
import { CsvTable } from "./CsvTable";
import { type Artifact, sizeText, urlOfArtifact } from "./files";

/** As much of a text as is shown. */
const TEXT_BYTES = 512 * 1024;
const IMAGE_BYTES = 20_000_000;

type Form = "image" | "json" | "csv" | "text" | "none";

function formOf({ path, contentType, size }: Artifact): Form {
  const type = contentType.split(";")[0] ?? "";
  if (type.startsWith("image/")) return size <= IMAGE_BYTES ? "image" : "none";
  if (type.endsWith("json") || path.endsWith(".json")) return size <= TEXT_BYTES ? "json" : "text";
  if (type === "text/csv" || path.endsWith(".csv")) return "csv";
  if (type.startsWith("text/") || /\.(log|md|ya?ml|toml|xml|py|ts|js|sh|txt|jsonl)$/.test(path))
    return "text";
  return "none";
}

/** What a file holds, where that can be shown. */
export function Preview({ runId, artifact }: { runId: string; artifact: Artifact }) {
  const form = formOf(artifact);
  const { data, error } = useQuery({
    queryKey: ["artifact", runId, artifact.path, artifact.toldAt],
    enabled: form !== "none",
    queryFn: async ({ signal }) => {
      const part = form !== "image" && artifact.size > TEXT_BYTES;
      const headers = part ? { Range: `bytes=0-${TEXT_BYTES - 1}` } : undefined;
      const answer = await send(
        urlOfArtifact(runId, artifact.path),
        headers ? { headers, signal } : { signal },
      );
      return form === "image" ? await answer.blob() : await answer.text();
    },
  });
  if (form === "none") return <EmptyState title="No preview">Download the file to open it.</EmptyState>;
  if (error) return <ErrorState error={error} />;
  if (data === undefined) return <Skeleton className="h-40" />;
  if (typeof data !== "string") return <Picture blob={data} name={artifact.path} />;
  return (
    <>
      {artifact.size > TEXT_BYTES ? (
        <p className="mb-2 text-xs text-muted">The first {sizeText(TEXT_BYTES)} are shown.</p>
      ) : null}
      <Text form={form} text={data} />
    </>
  );
}

function Text({ form, text }: { form: Form; text: string }) {
  if (form === "csv") return <CsvTable text={text} />;
  const value = form === "json" ? parsed(text) : undefined;
  return value === undefined ? (
    <CodeBlock code={text} label="Text" wrap />
  ) : (
    <JsonView value={value} open={3} />
  );
}

function Picture({ blob, name }: { blob: Blob; name: string }) {
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    const made = URL.createObjectURL(blob);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [blob]);
  return url ? (
    <img src={url} alt={name} className="max-w-full rounded border border-line bg-sunken" />
  ) : null;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
