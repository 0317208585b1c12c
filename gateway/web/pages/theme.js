// Runs before the first paint, so that the chosen colours do not flash. No module: modules wait.
"use strict";
(() => {
  const root = document.documentElement;
  let theme = null;
  try {
    theme = localStorage.getItem("sse-gateway-theme");
  } catch {
    // Storage may be forbidden; then the choice lasts as long as the page.
  }
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  addEventListener("DOMContentLoaded", () => {
    const choice = document.getElementById("theme");
    choice.value = root.dataset.theme ?? "";
    choice.addEventListener("change", () => {
      if (choice.value) root.dataset.theme = choice.value;
      else delete root.dataset.theme;
      try {
        localStorage.setItem("sse-gateway-theme", choice.value);
      } catch {
        // As above.
      }
    });
  });
})();
