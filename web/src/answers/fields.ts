// The fields of an input request, and what a form of them may say: the rules are the server's own, which has the last word.
import { membersOf } from "@/log/chat/read";

export type FieldType =
  | "text"
  | "email"
  | "url"
  | "password"
  | "number"
  | "textarea"
  | "select"
  | "radio"
  | "checkbox"
  | "confirm";

export interface FormField {
  type: FieldType;
  name: string;
  label: string;
  description?: string;
  placeholder?: string;
  required?: boolean;
  secret?: boolean;
  options?: { value: string; label: string; description?: string; recommended?: boolean }[];
  defaultValue?: string | boolean;
  min?: number;
  max?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  rows?: number;
  confirmLabel?: string;
  denyLabel?: string;
}

export type Value = string | number | boolean | null;
/** What was typed, chosen or ticked, by field: a number is still a text. */
export type Draft = Record<string, string | boolean | null>;

const SWITCH_TYPES: ReadonlySet<string> = new Set(["checkbox", "confirm"]);

/** The fields that this page can show; the server makes no others. */
export function fieldsOf(fields: unknown): FormField[] {
  if (!Array.isArray(fields)) return [];
  return fields
    .map(membersOf)
    .map((field) => ({ ...field, label: String(field.label ?? field.name) }) as FormField);
}

/** What a form says before anybody has touched it. A question of yes or no has no answer yet; a box is not ticked. */
export function emptyDraft(fields: readonly FormField[]): Draft {
  return Object.fromEntries(
    fields.map((field) => [
      field.name,
      field.defaultValue ?? (field.type === "confirm" ? null : field.type === "checkbox" ? false : ""),
    ]),
  );
}

/** The values to send: what was left empty is null. */
export function valuesOf(fields: readonly FormField[], draft: Draft): Record<string, Value> {
  return Object.fromEntries(
    fields.map((field) => {
      const said = draft[field.name] ?? null;
      if (said === "") return [field.name, null];
      return [field.name, field.type === "number" ? Number(said) : said];
    }),
  );
}

/** What does not fit, by field. */
export function complaintsAbout(
  fields: readonly FormField[],
  values: Record<string, Value>,
): Record<string, string> {
  const found = fields.map((field) => [field.name, complaint(field, values[field.name] ?? null)] as const);
  return Object.fromEntries(found.filter((pair): pair is [string, string] => pair[1] !== null));
}

function complaint(field: FormField, value: Value): string | null {
  if (value === null) return field.required ? "This is required." : null;
  if (field.type === "number") return numberComplaint(field, value);
  if (SWITCH_TYPES.has(field.type)) return typeof value === "boolean" ? null : "Say yes or no.";
  const text = String(value);
  if (field.options)
    return field.options.some((option) => option.value === text) ? null : "Choose one of the options.";
  return textComplaint(field, text);
}

function numberComplaint(field: FormField, value: Value): string | null {
  if (typeof value !== "number" || !Number.isFinite(value)) return "This must be a number.";
  if (field.min !== undefined && value < field.min) return `At least ${field.min}.`;
  if (field.max !== undefined && value > field.max) return `At most ${field.max}.`;
  return null;
}

function textComplaint(field: FormField, text: string): string | null {
  // The server counts code points.
  const length = [...text].length;
  if (field.minLength !== undefined && length < field.minLength)
    return `At least ${field.minLength} characters.`;
  if (field.maxLength !== undefined && length > field.maxLength)
    return `At most ${field.maxLength} characters.`;
  if (field.type === "email" && !/^[^\s]+@[^\s@]+$/.test(text)) return "This must be an e-mail address.";
  if (field.type === "url" && !/^[a-z][a-z0-9+.-]*:\/\/[^\s/?#]+[^\s]*$/i.test(text))
    return "This must be a URL, such as https://example.com.";
  if (field.pattern !== undefined && fits(field.pattern, text) === false)
    return "This does not have the form that is asked for.";
  return null;
}

/** Whether a text fits a pattern as a whole; undefined for a pattern that only the server can read. */
function fits(pattern: string, text: string): boolean | undefined {
  try {
    return new RegExp(`^(?:${pattern})$`, "u").test(text);
  } catch {
    return undefined;
  }
}
