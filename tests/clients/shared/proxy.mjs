// A bad network between the client and the server.
import { createServer } from "node:http";
import { apiUrl } from "./server.mjs";

const HEADERS = ["authorization", "accept", "content-type", "last-event-id", "x-api-key", "x-api-version"];

/**
 * A proxy whose `fate(request)` decides what becomes of each request: "pass"; "lose answer": the server has done its work
 * and the client never hears of it; "cut answer": half of it arrives; "lose request": the server never hears of it; a
 * number: the proxy answers with this status itself, and the server never hears of it; "hide answer": the server has done
 * its work, and the proxy answers 502. It may be a promise. A stream of events passes as it comes, and is cut after as
 * many bytes as `cut()` says; `drop()` ends all connections now. `seen` is the list of requests, with the `status` of the server's answer where there was one.
 */
export async function startProxy(fate = () => "pass") {
  const proxy = { fate, seen: [], cut: () => Infinity };
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const entry = { method: request.method, path: request.url, body: body === "" ? undefined : JSON.parse(body) };
    proxy.seen.push(entry);
    const decided = await proxy.fate(entry);
    if (decided === "lose request") return request.socket.destroy();
    if (typeof decided === "number") return response.writeHead(decided, { "content-type": "text/html" }).end("<p>Oh.</p>");
    let answer;
    let bytes;
    try {
      const given = HEADERS.filter((name) => name in request.headers).map((name) => [name, request.headers[name]]);
      answer = await fetch(`${apiUrl}${request.url}`, {
        method: request.method,
        headers: Object.fromEntries(given),
        body: body === "" ? undefined : body,
      });
      if (answer.headers.get("content-type").startsWith("text/event-stream")) {
        return await passOn(answer, response, proxy.cut());
      }
      bytes = Buffer.from(await answer.arrayBuffer());
    } catch {
      return request.socket.destroy(); // the server is down
    }
    entry.status = answer.status;
    if (decided === "lose answer") return request.socket.destroy();
    if (decided === "hide answer") return response.writeHead(502, { "content-type": "text/html" }).end("<p>Oh.</p>");
    response.writeHead(answer.status, {
      "content-type": answer.headers.get("content-type"),
      "content-length": bytes.length,
    });
    if (decided === "cut answer") {
      return response.write(bytes.subarray(0, bytes.length / 2), () => request.socket.destroy());
    }
    response.end(bytes);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  proxy.url = `http://127.0.0.1:${server.address().port}`;
  proxy.drop = () => server.closeAllConnections();
  proxy.close = () => {
    server.close();
    server.closeAllConnections();
  };
  return proxy;
}

/** A stream, byte for byte, up to where it is cut. */
async function passOn(answer, response, left) {
  response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") });
  response.flushHeaders();
  for await (const bytes of answer.body) {
    if (bytes.length > left) {
      return response.write(bytes.subarray(0, left), () => response.socket.destroy());
    }
    left -= bytes.length;
    response.write(bytes);
  }
  response.end();
}

/** Numbers from 0 to 1, the same ones for the same seed. */
export function random(seed) {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}
