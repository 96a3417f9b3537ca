// `public/theme.js` applies the choice before the page is drawn.
import { Store } from "@/api/store";

export type Theme = "system" | "light" | "dark";

const KEY = "perdure.theme";

export const theme = new Store<Theme>(stored());

export function chooseTheme(chosen: Theme): void {
  theme.set(chosen);
  if (chosen === "system") {
    localStorage.removeItem(KEY);
    delete document.documentElement.dataset.theme;
  } else {
    localStorage.setItem(KEY, chosen);
    document.documentElement.dataset.theme = chosen;
  }
}

function stored(): Theme {
  const found = localStorage.getItem(KEY);
  return found === "light" || found === "dark" ? found : "system";
}
