import { LayoutGrid } from "lucide-react";
import { PageHeader } from "@/app/PageHeader";
import { CodeBlock } from "@/design/CodeBlock";
import { EmptyState } from "@/design/states";

export default function CatalogPage() {
  return (
    <>
      <PageHeader title="Catalog" />
      <EmptyState icon={<LayoutGrid className="size-6" />} title="Catalog on the command line">
        <CodeBlock label="Command" code="perdure agents list" className="mt-3 min-w-72 text-left" />
      </EmptyState>
    </>
  );
}
