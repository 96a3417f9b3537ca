import { Activity } from "lucide-react";
import { PageHeader } from "@/app/PageHeader";
import { CodeBlock } from "@/design/CodeBlock";
import { EmptyState } from "@/design/states";

export default function UsagePage() {
  return (
    <>
      <PageHeader title="Usage" />
      <EmptyState icon={<Activity className="size-6" />} title="Usage on the command line">
        <CodeBlock label="Command" code="curl $PERDURE_API_URL/metrics" className="mt-3 min-w-72 text-left" />
      </EmptyState>
    </>
  );
}
