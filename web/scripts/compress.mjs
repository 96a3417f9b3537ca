// Gives each file of the build that is worth it a `.br` and a `.gz` twin, which the server sends as they are.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";

const folder = new URL("../../src/perdure/http/dashboard/static/", import.meta.url).pathname;
const compressible = new Set([".js", ".css", ".html", ".svg"]);
const smallest = 512;

for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name);
  if (!entry.isFile() || !compressible.has(extname(path))) continue;
  const body = readFileSync(path);
  if (body.length < smallest) continue;
  writeFileSync(`${path}.br`, brotliCompressSync(body));
  writeFileSync(`${path}.gz`, gzipSync(body, { level: 9 }));
}
