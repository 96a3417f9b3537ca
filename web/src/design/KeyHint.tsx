export function KeyHint({ keys }: { keys: string }) {
  return (
    <kbd className="inline-flex h-5 min-w-5 items-center justify-center rounded border border-line-strong bg-sunken px-1 font-mono text-2xs text-muted">
      {keys}
    </kbd>
  );
}
