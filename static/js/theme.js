// Applies the theme a person chose, before the first paint. "" follows the system.
(() => {
  let theme = "";
  try {
    theme = localStorage.getItem("nlpsuite.theme") || "";
  } catch {
    // Storage can be blocked; the system's theme is then right.
  }
  if (["light", "dark", "contrast"].includes(theme)) document.documentElement.dataset.theme = theme;
})();
