// Light or dark: the system's choice, or the reader's, which the reports share.

const THEME = "evertick-theme";

export function applyTheme() {
  try {
    const theme = localStorage.getItem(THEME);
    if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be forbidden; the system's choice then counts.
  }
}

export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

export function startTheme() {
  const button = document.getElementById("theme");
  if (!button) return;
  button.disabled = false; // it keeps its place meanwhile, so that nothing moves
  button.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem(THEME, theme);
    } catch {
      // The choice then lasts for this page.
    }
    dispatchEvent(new Event(THEME));
  });
}

// Calls `follow(dark)` now and whenever the theme changes.
export function followTheme(follow) {
  const tell = () => follow(isDark());
  addEventListener(THEME, tell);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
  tell();
}
