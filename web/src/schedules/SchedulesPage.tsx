import { CalendarClock } from "lucide-react";
import { PageHeader } from "@/app/PageHeader";
import { CodeBlock } from "@/design/CodeBlock";
import { EmptyState } from "@/design/states";

export default function SchedulesPage() {
  return (
    <>
      <PageHeader title="Schedules" />
      <EmptyState icon={<CalendarClock className="size-6" />} title="Schedules on the command line">
        <CodeBlock label="Command" code="perdure schedules list" className="mt-3 min-w-72 text-left" />
      </EmptyState>
    </>
  );
}
