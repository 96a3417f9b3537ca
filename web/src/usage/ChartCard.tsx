import { lazy, Suspense, useState } from "react";
import { Button } from "@/design/Button";
import { Card } from "@/design/Card";
import { moment } from "@/design/format";
import { Skeleton } from "@/design/states";
import { Table } from "@/design/Table";
import type { ChartProps } from "./Chart";

const Chart = lazy(() => import("./Chart"));

/** Figures over time: as lines, or as a table. */
export function ChartCard(props: ChartProps) {
  const { label, times, lines, format } = props;
  const [asTable, setAsTable] = useState(false);
  const rows = times
    .map((time, at) => ({ time, values: lines.map((line) => line.values[at] ?? null) }))
    .filter((row) => row.values.some((value) => value))
    .toReversed();
  return (
    <Card
      title={label}
      flush={asTable}
      actions={
        <Button
          tone="ghost"
          aria-pressed={asTable}
          aria-label={`${label} as a table`}
          onClick={() => setAsTable(!asTable)}
        >
          Table
        </Button>
      }
    >
      {asTable ? (
        <Table
          label={label}
          rows={rows}
          keyOf={(row) => String(row.time)}
          columns={[
            { header: "From", cell: (row) => moment(new Date(row.time * 1_000).toISOString()) },
            ...lines.map((line, at) => ({
              header: line.label,
              numeric: true,
              cell: (row: (typeof rows)[number]) => {
                const value = row.values[at];
                return value === null || value === undefined ? "–" : format(value);
              },
            })),
          ]}
        />
      ) : (
        <Suspense fallback={<Skeleton className="h-50" />}>
          <Chart {...props} />
        </Suspense>
      )}
    </Card>
  );
}
