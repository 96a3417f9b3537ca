import { Field, INPUT, Input } from "@/design/Field";
import { JsonControl } from "@/design/JsonControl";
import type { FieldSpec } from "./schema";

type Values = Record<string, unknown>;

export interface SchemaFormProps {
  fields: readonly FieldSpec[];
  value: Values;
  onChange: (value: Values) => void;
  /** Where the fields stand; makes their ids unique. */
  path?: string;
}

/** Fields for the members of an object. What is left empty is left out of the value. */
export function SchemaForm({ fields, value, onChange, path = "input" }: SchemaFormProps) {
  return (
    <div className="flex flex-col gap-4">
      {fields.map((field) => (
        <SchemaField
          key={field.name}
          field={field}
          id={`${path}-${field.name}`}
          value={value[field.name]}
          onChange={(next) => {
            const { [field.name]: _, ...rest } = value;
            onChange(next === undefined ? rest : { ...value, [field.name]: next });
          }}
        />
      ))}
    </div>
  );
}

interface SchemaFieldProps {
  field: FieldSpec;
  id: string;
  value: unknown;
  onChange: (value: unknown) => void;
}

function SchemaField(props: SchemaFieldProps) {
  const { field, id, value, onChange } = props;
  if (field.kind === "object") {
    return (
      <fieldset className="rounded-md border border-line p-3">
        <legend className="px-1 text-sm font-medium">{field.label}</legend>
        {field.description ? <p className="mb-3 text-xs text-muted">{field.description}</p> : null}
        <SchemaForm fields={field.fields} value={(value ?? {}) as Values} onChange={onChange} path={id} />
      </fieldset>
    );
  }
  if (field.kind === "boolean") {
    return (
      <label htmlFor={id} className="flex items-start gap-2 text-sm">
        <input
          id={id}
          type="checkbox"
          checked={value === true}
          onChange={(event) => onChange(event.target.checked)}
          className="mt-0.5 size-4 accent-accent"
        />
        <span>
          <span className="font-medium">{field.label}</span>
          {field.description ? <span className="block text-xs text-muted">{field.description}</span> : null}
        </span>
      </label>
    );
  }
  return (
    <Field
      label={field.required ? field.label : `${field.label} (optional)`}
      htmlFor={id}
      hint={field.description}
    >
      <Control {...props} />
    </Field>
  );
}

function Control({ field, id, value, onChange }: SchemaFieldProps) {
  const { schema, required } = field;
  switch (field.kind) {
    case "choice":
      return (
        <select
          id={id}
          required={required}
          value={String(value ?? "")}
          onChange={(event) => onChange(event.target.value || undefined)}
          className={INPUT}
        >
          <option value="">Choose…</option>
          {schema.enum?.map((one) => (
            <option key={String(one)}>{String(one)}</option>
          ))}
        </select>
      );
    case "number":
      return (
        <Input
          id={id}
          type="number"
          step={schema.type === "integer" ? 1 : "any"}
          min={schema.minimum}
          max={schema.maximum}
          required={required}
          value={typeof value === "number" ? value : ""}
          onChange={(event) => onChange(event.target.value === "" ? undefined : Number(event.target.value))}
        />
      );
    case "json":
      return <JsonControl id={id} required={required} value={value} onChange={onChange} />;
    default:
      return (
        <Input
          id={id}
          required={required}
          minLength={schema.minLength}
          maxLength={schema.maxLength}
          placeholder={field.kind === "time" ? "2026-01-31T08:00:00Z" : undefined}
          value={typeof value === "string" ? value : ""}
          onChange={(event) => onChange(event.target.value === "" ? undefined : event.target.value)}
        />
      );
  }
}
