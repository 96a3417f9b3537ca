import { Link } from "@tanstack/react-router";
import { Compass } from "lucide-react";
import { EmptyState } from "@/design/states";

export function NotFound() {
  return (
    <EmptyState icon={<Compass className="size-6" />} title="There is no such page">
      The address may be mistyped.{" "}
      <Link to="/runs" className="text-accent-ink underline">
        See all runs
      </Link>
    </EmptyState>
  );
}
