import { useQuery, useQueryClient } from "@tanstack/react-query";
import { KeyRound, Plus } from "lucide-react";
import { useState } from "react";
import { call } from "@/api/client";
import type { Answer } from "@/api/types";
import { useMe } from "@/app/identity";
import { PageHeader } from "@/app/PageHeader";
import { Badge } from "@/design/Badge";
import { Button } from "@/design/Button";
import { Dialog } from "@/design/Dialog";
import { moment } from "@/design/format";
import { Loaded } from "@/design/Loaded";
import { EmptyState } from "@/design/states";
import { Table } from "@/design/Table";
import { toast, toastError } from "@/design/Toast";
import { CreateKeyDialog } from "./CreateKeyDialog";

type Key = Answer<"/keys", "get">["data"][number];

const KEYS = ["keys"];

export default function KeysPage() {
  const me = useMe();
  const administrator = me?.scopes.includes("admin") ?? false;
  const [creating, setCreating] = useState(false);
  const query = useQuery({
    queryKey: KEYS,
    queryFn: ({ signal }) => call("get", "/keys", { signal }),
    enabled: administrator,
  });
  const client = useQueryClient();
  const refresh = (): void => void client.invalidateQueries({ queryKey: KEYS });
  if (me && !administrator) {
    return (
      <>
        <PageHeader title="Keys" />
        <EmptyState icon={<KeyRound className="size-6" />} title="For administrators">
          Sign in with a key that has the scope <code className="font-mono">admin</code> to see and change
          keys.
        </EmptyState>
      </>
    );
  }
  return (
    <>
      <PageHeader
        title="Keys"
        note={me ? `of ${me.project.name}` : undefined}
        actions={
          <Button tone="primary" icon={<Plus className="size-4" />} onClick={() => setCreating(true)}>
            New key
          </Button>
        }
      />
      <div className="min-h-0 flex-1 overflow-auto px-4 pb-6 sm:px-6">
        <Loaded query={query}>{({ data }) => <KeyTable keys={data} onRevoked={refresh} />}</Loaded>
      </div>
      {creating ? <CreateKeyDialog onClose={() => setCreating(false)} onCreated={refresh} /> : null}
    </>
  );
}

function KeyTable({ keys, onRevoked }: { keys: readonly Key[]; onRevoked: () => void }) {
  const [asked, setAsked] = useState<Key | null>(null);
  return (
    <div className="rounded-lg border border-line bg-surface">
      <Table
        label="Keys"
        rows={keys}
        keyOf={(key) => key.id}
        columns={[
          { header: "Name", cell: (key) => <span className="font-medium">{key.name}</span> },
          { header: "Prefix", cell: (key) => <span className="font-mono text-xs">{key.prefix}</span> },
          { header: "State", cell: (key) => <State of={key} /> },
          { header: "Scopes", cell: (key) => <Scopes of={key} />, className: "min-w-48" },
          {
            header: "Created",
            cell: (key) => moment(key.created_at),
            className: "whitespace-nowrap text-muted",
          },
          {
            header: "Ends",
            cell: (key) => (key.expires_at ? moment(key.expires_at) : "Never"),
            className: "whitespace-nowrap text-muted",
          },
          {
            header: "Revoke",
            buttons: true,
            cell: (key) =>
              key.revoked_at ? null : (
                <Button tone="danger" aria-label={`Revoke ${key.name}`} onClick={() => setAsked(key)}>
                  Revoke
                </Button>
              ),
          },
        ]}
      />
      {asked ? <RevokeDialog asked={asked} onClose={() => setAsked(null)} onRevoked={onRevoked} /> : null}
    </div>
  );
}

function State({ of }: { of: Key }) {
  if (of.revoked_at) return <Badge>Revoked</Badge>;
  if (of.expires_at && Date.parse(of.expires_at) <= Date.now()) return <Badge>Expired</Badge>;
  return <Badge tone="good">Good</Badge>;
}

function Scopes({ of }: { of: Key }) {
  return (
    <span className="flex flex-wrap gap-1">
      {of.scopes.map((scope) => (
        <Badge key={scope} tone={scope === "admin" ? "accent" : "neutral"}>
          {scope}
        </Badge>
      ))}
    </span>
  );
}

interface RevokeDialogProps {
  asked: Key;
  onClose: () => void;
  onRevoked: () => void;
}

function RevokeDialog({ asked, onClose, onRevoked }: RevokeDialogProps) {
  const [busy, setBusy] = useState(false);
  const revoke = async (): Promise<void> => {
    setBusy(true);
    try {
      await call("delete", "/keys/{key_id}", { path: { key_id: asked.id } });
      toast(`Revoked ${asked.name}`);
      onRevoked();
    } catch (error) {
      toastError(error);
    } finally {
      onClose();
    }
  };
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title={`Revoke ${asked.name}?`}
      description="What uses it is refused from now on. This cannot be undone."
      actions={
        <>
          <Button onClick={onClose}>Keep it</Button>
          <Button tone="danger" busy={busy} onClick={revoke}>
            Revoke
          </Button>
        </>
      }
    >
      <p className="font-mono text-xs">{asked.prefix}</p>
    </Dialog>
  );
}
