import { Download, FileText, Upload } from "lucide-react";
import { type DragEvent, useMemo, useRef, useState } from "react";
import { send } from "@/api/client";
import { SteerButton } from "@/app/SteerButton";
import { Button } from "@/design/Button";
import { cx } from "@/design/cx";
import { saveAs } from "@/design/saveAs";
import { EmptyState } from "@/design/states";
import { toastError } from "@/design/Toast";
import { useWholeLog } from "../events/log";
import { useAt } from "../useAt";
import { useRun, useRunId } from "../useRun";
import { type Artifact, artifactsOf, sizeText, urlOfArtifact } from "./files";
import { Preview } from "./Preview";
import { useUploads } from "./useUploads";

export default function ArtifactsTab() {
  const runId = useRunId();
  const { data: run } = useRun(runId);
  const { events } = useWholeLog();
  const { at } = useAt();
  const [chosen, setChosen] = useState<string>();
  const [dragging, setDragging] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const { uploads, start } = useUploads(runId, setChosen);
  const artifacts = useMemo(() => (run ? artifactsOf(run, events, at) : []), [run, events, at]);
  const shown = artifacts.find(({ path }) => path === chosen) ?? artifacts[0];
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    setDragging(false);
    start([...event.dataTransfer.files]);
  };
  const pick = (
    <SteerButton icon={<Upload className="size-3.5" />} onClick={() => picker.current?.click()}>
      Upload
    </SteerButton>
  );
  return (
    <section
      aria-label="Artifacts"
      onDragOver={(event) => {
        event.preventDefault();
        setDragging(true);
      }}
      onDragLeave={() => setDragging(false)}
      onDrop={drop}
      className={cx("flex min-h-0 flex-1 flex-col", dragging && "bg-accent-soft")}
    >
      <input
        ref={picker}
        type="file"
        multiple
        hidden
        aria-label="Files to upload"
        onChange={(event) => {
          start([...(event.target.files ?? [])]);
          event.target.value = "";
        }}
      />
      {uploads.length > 0 ? (
        <ul className="flex flex-col gap-1 border-b border-line px-4 py-2 text-xs sm:px-6">
          {uploads.map(({ id, name, share }) => (
            <li key={id} className="flex items-center gap-3">
              <span className="w-48 truncate">{name}</span>
              <progress
                aria-label={`Upload of ${name}`}
                value={share}
                className="h-1.5 flex-1 accent-accent"
              />
            </li>
          ))}
        </ul>
      ) : null}
      {shown === undefined ? (
        <EmptyState icon={<FileText className="size-6" />} title="No artifacts" action={pick}>
          Files that the run writes appear here. Drop a file to give it one.
        </EmptyState>
      ) : (
        <div className="flex min-h-0 flex-1 flex-col lg:flex-row">
          <div className="flex max-h-2/5 min-h-0 flex-col border-b border-line lg:max-h-none lg:w-80 lg:border-r lg:border-b-0">
            <div className="flex items-center justify-between gap-2 px-4 py-2 sm:px-6">
              <span className="text-xs text-muted">Drop files here</span>
              {pick}
            </div>
            <ul className="min-h-0 flex-1 overflow-auto pb-2">
              {artifacts.map((artifact) => (
                <li key={artifact.path}>
                  <Entry
                    artifact={artifact}
                    current={artifact.path === shown.path}
                    onOpen={() => setChosen(artifact.path)}
                  />
                </li>
              ))}
            </ul>
          </div>
          <Shown runId={runId} artifact={shown} />
        </div>
      )}
    </section>
  );
}

function Entry({ artifact, current, onOpen }: { artifact: Artifact; current: boolean; onOpen: () => void }) {
  return (
    <button
      type="button"
      data-artifact={artifact.path}
      aria-current={current || undefined}
      onClick={onOpen}
      className={cx(
        "flex w-full flex-col px-4 py-1.5 text-left outline-offset-[-2px] hover:bg-hover sm:px-6",
        current && "bg-accent-soft hover:bg-accent-soft",
      )}
    >
      <span className="max-w-full truncate font-mono text-xs">{artifact.path}</span>
      <span className="max-w-full truncate text-xs text-muted">
        {sizeText(artifact.size)} · {artifact.contentType}
      </span>
    </button>
  );
}

function Shown({ runId, artifact }: { runId: string; artifact: Artifact }) {
  const name = artifact.path.split("/").at(-1) ?? artifact.path;
  const download = async (): Promise<void> => {
    try {
      saveAs(await (await send(urlOfArtifact(runId, artifact.path))).blob(), name);
    } catch (error) {
      toastError(error);
    }
  };
  return (
    <section aria-label={artifact.path} className="flex min-h-0 min-w-0 flex-1 flex-col">
      <header className="flex items-center gap-3 border-b border-line px-4 py-2">
        <h2 className="min-w-0 flex-1 truncate font-mono text-xs font-semibold">{artifact.path}</h2>
        <Button icon={<Download className="size-3.5" />} onClick={download}>
          Download
        </Button>
      </header>
      <div tabIndex={0} className="min-h-0 flex-1 overflow-auto p-4 outline-offset-[-2px]">
        <Preview key={artifact.path} runId={runId} artifact={artifact} />
      </div>
    </section>
  );
}
