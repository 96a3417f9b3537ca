import { CopyButton } from "@/design/CodeBlock";
import { JsonView } from "@/design/JsonView";
import { useShownRun } from "../useShownRun";

export default function JsonTab() {
  const run = useShownRun();
  if (!run) return null;
  return (
    <div tabIndex={0} className="relative min-h-0 flex-1 overflow-auto p-4 sm:p-6">
      <div className="absolute top-3 right-4">
        <CopyButton text={JSON.stringify(run, null, 2)} label="Copy JSON" />
      </div>
      <JsonView value={run} open={3} />
    </div>
  );
}
