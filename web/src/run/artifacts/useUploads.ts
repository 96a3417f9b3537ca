import { useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { runKey } from "@/api/cached";
import { toastError } from "@/design/Toast";
import { uploadTo } from "./files";

export interface Upload {
  id: number;
  name: string;
  /** How much of it has been sent, 0 to 1. */
  share: number;
}

/** Uploads to a run; `onDone` is told the path of each. */
export function useUploads(
  runId: string,
  onDone: (path: string) => void,
): { uploads: readonly Upload[]; start: (files: readonly File[]) => void } {
  const client = useQueryClient();
  const latest = useRef(0);
  const [uploads, setUploads] = useState<readonly Upload[]>([]);
  const one = async (file: File): Promise<void> => {
    latest.current += 1;
    const id = latest.current;
    setUploads((before) => [...before, { id, name: file.name, share: 0 }]);
    try {
      await uploadTo(runId, file, (share) =>
        setUploads((before) => before.map((other) => (other.id === id ? { ...other, share } : other))),
      );
      await client.invalidateQueries({ queryKey: runKey(runId) });
      await client.invalidateQueries({ queryKey: ["artifact", runId] });
      onDone(`files/${file.name}`);
    } catch (error) {
      toastError(error);
    } finally {
      setUploads((before) => before.filter((other) => other.id !== id));
    }
  };
  return { uploads, start: (files) => files.forEach((file) => void one(file)) };
}
