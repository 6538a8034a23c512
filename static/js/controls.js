/* Keyboard, popovers, slider read-outs, copy buttons, clickable rows. Everything here has a form without it. */
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const typing = (target) => target.closest && target.closest("input:not([type=range]):not([type=checkbox]), select, textarea, [contenteditable]");
  const follow = (selector) => { const link = $(selector); if (link) link.click(); };

  const keys = {
    d: () => follow('[data-key="d"]'), w: () => follow('[data-key="w"]'), m: () => follow('[data-key="m"]'),
    x: () => follow('[data-key="x"]'),
    arrowleft: () => follow('[data-key="left"]'), arrowright: () => follow('[data-key="right"]'),
    "/": () => {
      const popover = $("[data-filter-popover]");
      if (!popover) return;
      popover.open = true;
      const field = $('input[type="search"]', popover);
      if (field) field.focus();
    },
    "?": () => { const dialog = $("#keyboard-help"); if (dialog) dialog.open ? dialog.close() : dialog.showModal(); },
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      for (const open of document.querySelectorAll("details.popover[open], details.help[open]")) {
        open.open = false;
        $("summary", open).focus();
      }
      return;
    }
    // Never with a modifier held: Alt+Left belongs to the browser.
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (event.target.matches && event.target.matches("input[type=range]")) return;
    const action = keys[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  });

  document.addEventListener("click", (event) => {
    const target = event.target;
    for (const open of document.querySelectorAll("details.popover[open], details.help[open]"))
      if (!open.contains(target)) open.open = false;
    if (!target.closest) return;
    const opener = target.closest("[data-open-dialog]");
    if (opener) $(`#${opener.dataset.openDialog}`).showModal();
    const copy = target.closest("[data-copy]");
    if (copy && !navigator.clipboard) {  // plain HTTP from another machine: select it, so that one key copies
      getSelection().selectAllChildren($("pre", copy.parentElement));
    } else if (copy) {
      const text = $("pre", copy.parentElement).textContent;
      navigator.clipboard.writeText(text.startsWith("/") ? location.origin + text : text).then(() => {
        copy.textContent = "copied";
        setTimeout(() => { copy.textContent = "copy"; }, 1500);
      });
    }
    const door = target.closest('a[href="#how"]');  // an amount: what it points at may be folded
    const behind = door && document.getElementById(door.hash.slice(1));
    if (behind) behind.closest("details").open = true;
    const row = target.closest("tr[data-href]");
    if (row && !target.closest("a, button, input, summary") && !getSelection().toString()) location.assign(row.dataset.href);
  });

  // A slider shows its value while it moves, and moving it unticks "as listed".
  document.addEventListener("input", (event) => {
    const input = event.target;
    if (!input.matches || !input.closest(".knob")) return;
    const knob = input.closest(".knob");
    const slider = $("input[type=range]", knob);
    const listed = $('input[type="checkbox"]', knob);
    if (input === slider && listed) listed.checked = false;
    const output = $("output", knob);
    if (listed && listed.checked) output.textContent = slider.dataset.rest;
    else if (slider.dataset.unit === "%") output.textContent = `${Math.round(Number(slider.value) * 100)} %`;
    else if (slider.dataset.unit === "$") output.textContent = `$${Number(slider.value).toFixed(2)}`;
    else output.textContent = `${Number(slider.value).toFixed(2)}×`;
    slider.setAttribute("aria-valuetext", output.textContent);
  });
  // New data redraws the panels, but not one that someone has opened something in.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const cause = event.detail.requestConfig && event.detail.requestConfig.triggeringEvent;
    const looking = event.target.closest("[data-look-again]");
    const redrawn = looking ? looking.closest("section") : cause && cause.type === "new-data" ? event.target : null;
    if (redrawn && $("details[open]", redrawn)) event.preventDefault();
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches && event.target.matches("[data-submit-on-change]")) event.target.form.requestSubmit();
  });
  document.addEventListener("DOMContentLoaded", () => {
    for (const element of document.querySelectorAll("[data-needs-js]")) element.hidden = false;
  });
})();
