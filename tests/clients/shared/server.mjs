// The server under test, and what no client has a function for.
import assert from "node:assert/strict";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const apiUrl = process.env.PERDURE_URL;
export const authToken = process.env.PERDURE_KEY;
export const projectId = process.env.PERDURE_PROJECT;
export const folder = process.env.PERDURE_FOLDER;

/** A request of our own; any answer but a success is an error. */
export async function call(method, path, body) {
  const response = await fetch(`${apiUrl}${path}`, {
    method,
    headers: { Authorization: `Bearer ${authToken}`, "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text);
}

/** Wait until `check()` is true. */
export async function eventually(check, what, seconds = 60) {
  const end = Date.now() + seconds * 1000;
  while (!(await check())) {
    assert.ok(Date.now() < end, `not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Have the server ended, by `kill` (-9) or `stop` (SIGTERM), and started again. */
export async function restartServer(how = "kill") {
  writeFileSync(join(folder, how), "");
  await eventually(() => existsSync(join(folder, "restarted")), "the server is back");
  rmSync(join(folder, "restarted"));
}
