// The types that the package declares for analytics, for which it has no schemas: read from its declarations.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const FILE = new URL("workflow-analytics.d.ts", import.meta.resolve("@vertesia/common"));
const TOKENS = /"[^"]*"|'[^']*'|[A-Za-z_$][\w$.]*|[{}[\]<>()|&;:?,=]/g;

/** The declared interfaces, each a list of [name, optional, type]. */
function interfaces() {
  const text = readFileSync(fileURLToPath(FILE), "utf8").replace(/\/\*[\s\S]*?\*\//g, "").replace(/\/\/.*$/gm, "");
  const found = new Map();
  for (const [, name, more] of text.matchAll(/interface (\w+)(?: extends (\w+))? \{/g)) {
    const start = text.indexOf(`interface ${name} `);
    const tokens = text.slice(text.indexOf("{", start)).match(TOKENS);
    found.set(name, { members: object(tokens), base: more });
  }
  return found;
}

/** `{ name?: type; … }` from the front of the tokens; the name of `[any: string]: type` is `*`. */
function object(tokens) {
  const members = [];
  tokens.shift();
  while (tokens[0] !== "}") {
    const name = tokens[0] === "[" ? tokens.splice(0, 5) && "*" : tokens.shift();
    const optional = tokens[0] === "?";
    if (optional) tokens.shift();
    tokens.shift(); // the colon
    members.push([name.replace(/["']/g, ""), optional, type(tokens)]);
    if (tokens[0] === ";") tokens.shift();
  }
  tokens.shift();
  return members;
}

/** A type: `|` of `&` of single ones, as {any: […]}, {all: […]}, {object}, {array}, {map} or {word}. */
function type(tokens) {
  const any = [];
  do {
    const all = [];
    do {
      if ("|&".includes(tokens[0])) tokens.shift();
      all.push(single(tokens));
    } while (tokens[0] === "&");
    any.push(all.length === 1 ? all[0] : { all });
  } while (tokens[0] === "|");
  return any.length === 1 ? any[0] : { any };
}

function single(tokens) {
  let found;
  if (tokens[0] === "{") found = { object: object(tokens) };
  else if (tokens[0] === "(") {
    tokens.shift();
    found = type(tokens);
    tokens.shift();
  } else if (tokens[0] === "Record") {
    tokens.splice(0, 2);
    type(tokens);
    tokens.shift();
    found = { map: type(tokens) };
    tokens.shift();
  } else found = { word: tokens.shift() };
  while (tokens[0] === "[") {
    tokens.splice(0, 2);
    found = { array: found };
  }
  return found;
}

const known = interfaces();

/** Says where a value is not of a declared type, null if it is. Members that a type does not have are wrong. */
export function matches(name, value) {
  if (!known.has(name)) return `no type ${name}`;
  return fits({ word: name }, value, "$");
}

/** All members of a type that is an object, bases and intersections included; null for another. */
function members(expected) {
  if (expected.object) return expected.object;
  if (expected.all) return expected.all.map(members).flat();
  const declared = known.get(expected.word);
  if (declared === undefined) return null;
  return [...declared.members, ...(declared.base ? members({ word: declared.base }) : [])];
}

function fits(expected, value, place) {
  if (expected.any) {
    const verdicts = expected.any.map((one) => fits(one, value, place));
    return verdicts.includes(null) ? null : verdicts.join(" or ");
  }
  if (expected.array) {
    if (!Array.isArray(value)) return `${place} is no array`;
    return first(value.map((one, index) => fits(expected.array, one, `${place}[${index}]`)));
  }
  if (expected.map) return first(Object.entries(value).map(([name, one]) => fits(expected.map, one, `${place}.${name}`)));
  const named = members(expected);
  if (named === null) return word(expected.word, value, place);
  if (value === null || typeof value !== "object") return `${place} is no object`;
  const names = named.map(([name]) => name);
  if (names[0] === "*") return first(Object.entries(value).map(([name, one]) => fits(named[0][2], one, `${place}.${name}`)));
  const extra = Object.keys(value).find((name) => !names.includes(name));
  if (extra !== undefined) return `${place}.${extra} is not in the type`;
  return first(
    named.map(([name, optional, wanted]) => {
      if (value[name] === undefined) return optional ? null : `${place}.${name} is missing`;
      return fits(wanted, value[name], `${place}.${name}`);
    }),
  );
}

function word(name, value, place) {
  if (["string", "number", "boolean"].includes(name)) {
    return typeof value === name && !Number.isNaN(value) ? null : `${place} is no ${name}: ${JSON.stringify(value)}`;
  }
  if (/^["']/.test(name)) return value === name.slice(1, -1) ? null : `${place} is not ${name}`;
  if (name === "unknown" || name === "any") return null;
  return typeof value === "string" ? null : `${place} is no ${name}`; // an enumeration
}

const first = (verdicts) => verdicts.find((one) => one !== null) ?? null;
