import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Ban, Copy, Ellipsis, GitFork, RefreshCcw, RotateCcw, Send } from "lucide-react";
import { useState } from "react";
import { runKey } from "@/api/cached";
import { call } from "@/api/client";
import { isLive } from "@/api/runs";
import type { Run } from "@/api/types";
import { useForbidden } from "@/app/identity";
import { SteerButton } from "@/app/SteerButton";
import { Button } from "@/design/Button";
import { Menu, MenuItem } from "@/design/Menu";
import { toast, toastError } from "@/design/Toast";
import { curlOf } from "./curl";
import { SignalDialog } from "./SignalDialog";
import { useAt } from "./useAt";

/** What can be done with a run now: the likely thing as a button, the rest in a menu. */
export function RunActions({ run }: { run: Run }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [busy, setBusy] = useState(false);
  const [signalling, setSignalling] = useState(false);
  const { moveTo } = useAt();
  const why = useForbidden();
  const forbidden = why !== undefined;
  const live = isLive(run.status);
  const path = { run_id: run.run_id };
  const act = async (work: () => Promise<void>): Promise<void> => {
    setBusy(true);
    try {
      await work();
    } catch (error) {
      toastError(error);
    } finally {
      setBusy(false);
      void client.invalidateQueries({ queryKey: runKey(run.run_id) });
    }
  };
  const cancel = () =>
    act(async () => void (await call("post", "/runs/{run_id}/cancel", { path, body: {} })));
  const cancelTree = () =>
    act(async () => {
      const { cancelled } = await call("post", "/runs/{run_id}/tree/cancel", { path, body: {} });
      toast(`${cancelled} ${cancelled === 1 ? "run" : "runs"} cancelled`);
    });
  const restart = (fresh?: boolean) =>
    act(async () => {
      await call("post", "/runs/{run_id}/restart", { path, body: fresh === undefined ? {} : { fresh } });
      moveTo(undefined);
    });
  const fork = () =>
    act(async () => {
      const forked = await call("post", "/api/v1/agents/{run_id}/fork", { path, body: {} });
      await navigate({ to: "/runs/$runId", params: { runId: forked.id } });
    });
  const copyCurl = () =>
    act(async () => {
      await navigator.clipboard.writeText(curlOf(run, location.origin));
      toast("Copied");
    });
  return (
    <div className="flex items-center gap-2">
      {live ? (
        <SteerButton tone="danger" busy={busy} icon={<Ban className="size-3.5" />} onClick={cancel}>
          Cancel
        </SteerButton>
      ) : (
        <SteerButton busy={busy} icon={<RotateCcw className="size-3.5" />} onClick={() => restart()}>
          Restart
        </SteerButton>
      )}
      <Menu align="end" trigger={<Button aria-label="More actions" icon={<Ellipsis className="size-4" />} />}>
        {why ? <p className="max-w-56 px-2 py-1.5 text-xs text-muted">{why}</p> : null}
        {live ? null : (
          <MenuItem
            icon={<RefreshCcw className="size-4 text-muted" />}
            disabled={forbidden}
            onSelect={() => restart(true)}
          >
            Restart from the beginning
          </MenuItem>
        )}
        <MenuItem danger icon={<Ban className="size-4" />} disabled={forbidden} onSelect={cancelTree}>
          Cancel with all below
        </MenuItem>
        {run.kind === "agent" ? (
          <MenuItem icon={<GitFork className="size-4 text-muted" />} disabled={forbidden} onSelect={fork}>
            Fork
          </MenuItem>
        ) : null}
        <MenuItem
          icon={<Send className="size-4 text-muted" />}
          disabled={!live || forbidden}
          onSelect={() => setSignalling(true)}
        >
          Send a signal
        </MenuItem>
        <MenuItem icon={<Copy className="size-4 text-muted" />} onSelect={copyCurl}>
          Copy as curl
        </MenuItem>
      </Menu>
      <SignalDialog runId={run.run_id} open={signalling} onOpenChange={setSignalling} />
    </div>
  );
}
