import { Problem, Unreachable } from "./problem";
import { credential } from "./session";

/** PUT a file, and say how much of it has been sent (0 to 1): `fetch` does not know. Throws Problem and Unreachable. */
export function upload(url: string, file: File, onProgress: (share: number) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", url);
    const held = credential.get();
    if (held !== null) request.setRequestHeader("Authorization", `Bearer ${held}`);
    if (file.type) request.setRequestHeader("Content-Type", file.type);
    request.upload.onprogress = ({ loaded, total }) => onProgress(total > 0 ? loaded / total : 1);
    request.onerror = () => reject(new Unreachable());
    request.onload = () => {
      if (request.status < 300) resolve();
      else
        reject(new Problem(request.status, `http_${request.status}`, saidIn(request), undefined, undefined));
    };
    request.send(file);
  });
}

function saidIn(request: XMLHttpRequest): string {
  try {
    const body: { error?: unknown } = JSON.parse(request.responseText);
    if (typeof body.error === "string") return body.error;
  } catch {
    // Not one of the server's own refusals.
  }
  return `The server answered ${request.status}.`;
}
