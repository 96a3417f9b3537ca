// What a form needs of a JSON Schema: the common types, flat. Where a schema says more than that, its value is written as
// JSON; the server checks every input with the whole schema, whichever way it was written.

export interface JsonSchema {
  type?: string | string[];
  title?: string;
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  format?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  items?: JsonSchema;
  $ref?: string;
  $defs?: Record<string, JsonSchema>;
}

export type FieldKind = "text" | "number" | "boolean" | "choice" | "time" | "object" | "json";

export interface FieldSpec {
  name: string;
  label: string;
  description: string | undefined;
  kind: FieldKind;
  required: boolean;
  schema: JsonSchema;
  /** Of an object: its members. */
  fields: readonly FieldSpec[];
}

const DEEPEST = 4;

/** The members of an object's schema as fields, in its order. */
export function fieldsOf(schema: JsonSchema, root: JsonSchema = schema, depth = 0): FieldSpec[] {
  const whole = resolve(schema, root);
  return Object.entries(whole.properties ?? {}).map(([name, member]) => {
    const found = resolve(member, root);
    const kind = kindOf(found, depth);
    return {
      name,
      label: found.title ?? name,
      description: member.description ?? found.description,
      kind,
      required: whole.required?.includes(name) ?? false,
      schema: found,
      fields: kind === "object" ? fieldsOf(found, root, depth + 1) : [],
    };
  });
}

/** What the form begins with: the defaults of the schema. */
export function defaultsOf(fields: readonly FieldSpec[]): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const field of fields) {
    if (field.schema.default !== undefined && field.schema.default !== null)
      values[field.name] = field.schema.default;
    else if (field.kind === "object" && field.required) values[field.name] = defaultsOf(field.fields);
    else if (field.kind === "boolean" && field.required) values[field.name] = false;
  }
  return values;
}

/** Follow a `$ref` within the schema, and take the one choice besides null. */
function resolve(schema: JsonSchema, root: JsonSchema): JsonSchema {
  const name = schema.$ref?.match(/^#\/\$defs\/(.+)$/)?.[1];
  const target = name === undefined ? undefined : root.$defs?.[name];
  if (target) return resolve({ ...target, ...without(schema) }, root);
  const choices = (schema.anyOf ?? schema.oneOf)?.filter((one) => one.type !== "null");
  const only = choices?.length === 1 ? choices[0] : undefined;
  if (only) {
    const { anyOf, oneOf, ...rest } = schema;
    return resolve({ ...only, ...rest }, root);
  }
  return schema;
}

function without({ $ref, ...rest }: JsonSchema): JsonSchema {
  return rest;
}

function kindOf(schema: JsonSchema, depth: number): FieldKind {
  if (schema.enum?.every((value) => typeof value === "string")) return "choice";
  const types = [schema.type ?? []].flat().filter((type) => type !== "null");
  if (types.length !== 1) return "json";
  switch (types[0]) {
    case "string":
      return schema.format === "date-time" ? "time" : "text";
    case "integer":
    case "number":
      return "number";
    case "boolean":
      return "boolean";
    case "object":
      return schema.properties && depth < DEEPEST ? "object" : "json";
    default:
      return "json";
  }
}
