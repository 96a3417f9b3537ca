// Which functions of the package may reach a server: found in its code, because its documentation does not say.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const NETWORK = /\bfetch\b|\bfetch(Impl|Fn)\b/;
const DECLARED = /^(export\s+)?(?:default\s+)?(?:async\s+)?(?:function\*?|class|const|let|var)\s+([\w$]+)/gm;
const IMPORTED = /^import\s+(?:\w+\s*,?\s*)?(?:\{([^}]*)\}|\*\s+as\s+\w+)?\s*from\s*["'](\.[^"']+)["']/gm;
const PASSED_ON = /^export\s*\{([^}]*)\}(?:\s*from\s*["']([^"']+)["'])?/gm;
const ALL_PASSED_ON = /^export\s*\*\s*from\s*["'](\.[^"']+)["']/gm;

/** `a, b as c` as pairs of the name there and the name here. */
const pairs = (list) =>
  list.split(",").map((one) => one.trim().split(/\s+as\s+/)).filter(([there]) => there !== "").map(([a, b]) => [a, b ?? a]);

/** The modules of the package as they are needed: what each declares at its top level, imports and exports. */
function modules() {
  const known = new Map();
  return (url) => {
    if (known.has(url)) return known.get(url);
    const text = readFileSync(fileURLToPath(url), "utf8").replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
    const module = { url, declared: new Map(), imported: new Map(), exported: new Map(), all: [] };
    known.set(url, module);
    const at = (path) => (path.startsWith(".") ? new URL(path, url).href : undefined);
    const found = [...text.matchAll(DECLARED)];
    found.forEach(([, exported, name], index) => {
      module.declared.set(name, text.slice(found[index].index, found[index + 1]?.index));
      if (exported) module.exported.set(name, [url, name]);
    });
    for (const [, list, path] of text.matchAll(IMPORTED)) {
      for (const [there, here] of pairs(list ?? "")) module.imported.set(here, [at(path), there]);
    }
    for (const [, list, path] of text.matchAll(PASSED_ON)) {
      for (const [there, here] of pairs(list)) {
        const from = path === undefined ? (module.imported.get(there) ?? [url, there]) : [at(path), there];
        if (from[0] !== undefined) module.exported.set(here, from);
      }
    }
    for (const [, path] of text.matchAll(ALL_PASSED_ON)) module.all.push(at(path));
    return module;
  };
}

/** A test for exported names of the module at `entry`: whether the code behind one, all the way down, names `fetch`. */
export function networkIn(entry) {
  const load = modules();
  const verdicts = new Map();
  const origin = (url, name) => {
    const module = load(url);
    const next = module.exported.get(name);
    if (next !== undefined) return next[0] === url ? [module, next[1]] : origin(...next);
    return module.all.reduce((found, other) => found ?? origin(other, name), undefined);
  };
  const reaches = ([module, name]) => {
    const key = `${module.url} ${name}`;
    if (verdicts.has(key)) return verdicts.get(key);
    verdicts.set(key, false); // as long as it is not known: two that call each other
    const code = module.declared.get(name) ?? "";
    const verdict = NETWORK.test(code) || [...new Set(code.match(/[A-Za-z_$][\w$]*/g) ?? [])].some((word) => {
      if (word === name) return false;
      if (module.declared.has(word)) return reaches([module, word]);
      const from = module.imported.get(word);
      const other = from && origin(...from);
      return other !== undefined && reaches(other);
    });
    verdicts.set(key, verdict);
    return verdict;
  };
  return (name) => {
    const found = origin(entry, name);
    return found !== undefined && reaches(found);
  };
}
