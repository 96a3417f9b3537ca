import type { ChangeEvent } from "react";
import { Button } from "@/design/Button";
import { cx } from "@/design/cx";
import { INPUT, Input } from "@/design/Field";
import type { FormField } from "./fields";

export interface FormFieldInputProps {
  id: string;
  field: FormField;
  value: string | boolean | null;
  error: string | undefined;
  onChange: (value: string | boolean | null) => void;
}

/** One field of an input request, with its label, its hint and what is wrong with it. */
export function FormFieldInput(props: FormFieldInputProps) {
  const { id, field, error } = props;
  const told = [field.description ? `${id}-hint` : "", error ? `${id}-error` : ""].filter(Boolean).join(" ");
  const group = field.type === "radio" || field.type === "confirm";
  const Frame = group ? "fieldset" : "div";
  return (
    <Frame className="flex min-w-0 flex-col gap-1.5" {...(group && told ? { "aria-describedby": told } : {})}>
      <Caption field={field} id={id} group={group} />
      <Control {...props} told={told || undefined} />
      {field.description ? (
        <p id={`${id}-hint`} className="text-xs text-muted">
          {field.description}
        </p>
      ) : null}
      {error ? (
        <p id={`${id}-error`} role="alert" className="text-xs text-bad">
          {error}
        </p>
      ) : null}
    </Frame>
  );
}

function Caption({ field, id, group }: { field: FormField; id: string; group: boolean }) {
  const words = (
    <>
      {field.label}
      {field.required ? null : <span className="ml-1.5 font-normal text-faint">optional</span>}
    </>
  );
  if (field.type === "checkbox") return null;
  if (group) return <legend className="mb-1.5 text-sm font-medium">{words}</legend>;
  return (
    <label htmlFor={id} className="text-sm font-medium">
      {words}
    </label>
  );
}

function Control(props: FormFieldInputProps & { told: string | undefined }) {
  switch (props.field.type) {
    case "textarea":
      return <Paragraph {...props} />;
    case "select":
      return <Select {...props} />;
    case "radio":
      return <Choices {...props} />;
    case "checkbox":
      return <Tick {...props} />;
    case "confirm":
      return <YesOrNo {...props} />;
    default:
      return <Line {...props} />;
  }
}

type ControlProps = FormFieldInputProps & { told: string | undefined };

/** What every control has in which text is typed. */
function ofText({ id, field, value, error, told, onChange }: ControlProps) {
  return {
    id,
    placeholder: field.placeholder,
    required: field.required,
    "aria-invalid": error ? true : undefined,
    "aria-describedby": told,
    value: String(value ?? ""),
    onChange: (event: ChangeEvent<HTMLInputElement | HTMLTextAreaElement>) => onChange(event.target.value),
  };
}

function Line(props: ControlProps) {
  const { field, error } = props;
  const secret = field.secret || field.type === "password";
  const mode = { number: "decimal", email: "email", url: "url" } as const;
  return (
    <Input
      {...ofText(props)}
      type={secret ? "password" : "text"}
      inputMode={field.type in mode ? mode[field.type as keyof typeof mode] : "text"}
      autoComplete={secret ? "new-password" : "off"}
      className={cx("max-w-md", error && "border-bad")}
    />
  );
}

function Paragraph(props: ControlProps) {
  const { field, error } = props;
  return (
    <textarea
      {...ofText(props)}
      rows={field.rows ?? 4}
      className={cx(INPUT, "h-auto py-1.5", error && "border-bad")}
    />
  );
}

function Select({ id, field, value, error, told, onChange }: ControlProps) {
  return (
    <select
      id={id}
      required={field.required}
      aria-invalid={error ? true : undefined}
      aria-describedby={told}
      value={String(value ?? "")}
      onChange={(event) => onChange(event.target.value)}
      className={cx(INPUT, "max-w-md", error && "border-bad")}
    >
      <option value="">Choose…</option>
      {field.options?.map((option) => (
        <option key={option.value} value={option.value}>
          {option.recommended ? `${option.label} (recommended)` : option.label}
        </option>
      ))}
    </select>
  );
}

function Choices({ id, field, value, onChange }: ControlProps) {
  return (
    <div className="flex flex-col gap-1.5">
      {field.options?.map((option, index) => (
        <label key={option.value} className="flex flex-wrap items-start gap-x-2 text-sm">
          <input
            id={index === 0 ? id : undefined}
            type="radio"
            name={id}
            checked={value === option.value}
            onChange={() => onChange(option.value)}
            className="mt-0.5 size-4 accent-accent"
          />
          {option.label}
          {option.recommended ? <span className="text-xs text-muted">recommended</span> : null}
          {option.description ? (
            <span className="w-full pl-6 text-xs text-muted">{option.description}</span>
          ) : null}
        </label>
      ))}
    </div>
  );
}

function Tick({ id, field, value, told, onChange }: ControlProps) {
  return (
    <label className="flex items-start gap-2 text-sm">
      <input
        id={id}
        type="checkbox"
        checked={value === true}
        aria-describedby={told}
        onChange={(event) => onChange(event.target.checked)}
        className="mt-0.5 size-4 accent-accent"
      />
      {field.label}
    </label>
  );
}

/** Two buttons of which one is pressed: what was not answered differs from a no. */
function YesOrNo({ id, field, value, onChange }: ControlProps) {
  const chosen = "border-accent! bg-accent-soft! text-accent-ink!";
  return (
    <div className="flex gap-2">
      <Button
        id={id}
        aria-pressed={value === true}
        className={cx(value === true && chosen)}
        onClick={() => onChange(true)}
      >
        {field.confirmLabel ?? "Yes"}
      </Button>
      <Button
        aria-pressed={value === false}
        className={cx(value === false && chosen)}
        onClick={() => onChange(false)}
      >
        {field.denyLabel ?? "No"}
      </Button>
    </div>
  );
}
