import { CircleCheck } from "lucide-react";
import { PageHeader } from "@/app/PageHeader";
import { CodeBlock } from "@/design/CodeBlock";
import { EmptyState } from "@/design/states";

export default function ApprovalsPage() {
  return (
    <>
      <PageHeader title="Approvals" />
      <EmptyState icon={<CircleCheck className="size-6" />} title="Approvals on the command line">
        <CodeBlock
          label="Command"
          code="perdure runs list --status waiting"
          className="mt-3 min-w-72 text-left"
        />
      </EmptyState>
    </>
  );
}
