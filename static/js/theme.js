/* Applies the stored theme before first paint; the theme button cycles system, light, dark and announces the change. */
"use strict";
(() => {
  const root = document.documentElement;
  const order = ["system", "light", "dark"];
  const stored = () => {
    try { return localStorage.getItem("breakeven-theme") || "system"; } catch { return "system"; }
  };
  const apply = (theme) => {
    if (theme === "system") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", theme);
    for (const button of document.querySelectorAll("[data-theme-button]")) {
      button.hidden = false;
      button.querySelector("[data-theme-name]").textContent = theme;
    }
  };
  const announce = () => document.dispatchEvent(new CustomEvent("breakeven:theme"));

  apply(stored());
  document.addEventListener("DOMContentLoaded", () => apply(stored()));
  document.addEventListener("click", (event) => {
    if (!event.target.closest || !event.target.closest("[data-theme-button]")) return;
    const next = order[(order.indexOf(stored()) + 1) % order.length];
    try { localStorage.setItem("breakeven-theme", next); } catch { /* private mode: the choice lasts for this page */ }
    apply(next);
    announce();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", announce);
  addEventListener("beforeprint", () => { root.setAttribute("data-theme", "light"); announce(); });
  addEventListener("afterprint", () => { apply(stored()); announce(); });
})();
