// The key or token of this tab. It is kept in sessionStorage: it ends with the tab, and never stands in a URL.
import { Store } from "./store";

const KEY = "perdure.credential";

export const credential = new Store<string | null>(sessionStorage.getItem(KEY));

export function signIn(value: string): void {
  sessionStorage.setItem(KEY, value);
  credential.set(value);
}

export function signOut(): void {
  sessionStorage.removeItem(KEY);
  credential.set(null);
}
