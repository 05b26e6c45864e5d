"use strict";
// Before anything is drawn: light or dark as chosen before, else as the system has it. Where nothing can be kept
// (some browsers refuse it to pages on disk), a choice holds for one page.
(() => {
  const root = document.documentElement;
  const kept = (value) => {
    try {
      if (value === undefined) return localStorage.getItem("tda-theme");
      localStorage.setItem("tda-theme", value);
    } catch {}
    return null;
  };
  const system = matchMedia("(prefers-color-scheme: dark)");
  const before = kept();
  root.classList.add("scripted");
  if (before === "dark" || before === "light") root.dataset.theme = before;
  const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const tell = () => button.setAttribute("aria-pressed", String(isDark()));
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      kept(root.dataset.theme);
      tell();
    });
    system.addEventListener("change", tell);
    tell();
  });
})();
