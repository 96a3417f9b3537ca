// Before anything is drawn, so that a chosen theme never flashes the other one. `app/theme.ts` writes the choice.
try {
  const chosen = localStorage.getItem("perdure.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage may be forbidden; the system's theme holds then.
}
