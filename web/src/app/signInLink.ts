// The link that `perdure dev` prints carries a code in its fragment, which browsers never send to a server.
import { signIn } from "@/api/session";

const CODE = /^#code=([\w-]+)$/;

let redeemed: Promise<void> | undefined;

/** Exchange the code of the link, if there is one, for the key. The code leaves the address bar and history at once. */
export function redeemLink(): Promise<void> {
  redeemed ??= exchange();
  return redeemed;
}

async function exchange(): Promise<void> {
  const code = CODE.exec(location.hash)?.[1];
  if (code === undefined) return;
  history.replaceState(null, "", location.pathname + location.search);
  try {
    const answer = await fetch("/ui/sign-in", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ code }),
    });
    if (!answer.ok) return;
    const { key } = (await answer.json()) as { key: string };
    signIn(key);
  } catch {
    // The form is there for whoever the link does not sign in.
  }
}
