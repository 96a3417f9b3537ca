import { KeyRound } from "lucide-react";
import { PageHeader } from "@/app/PageHeader";
import { CodeBlock } from "@/design/CodeBlock";
import { EmptyState } from "@/design/states";

export default function KeysPage() {
  return (
    <>
      <PageHeader title="Keys" />
      <EmptyState icon={<KeyRound className="size-6" />} title="Keys on the command line">
        <CodeBlock label="Command" code="perdure keys list" className="mt-3 min-w-72 text-left" />
      </EmptyState>
    </>
  );
}
