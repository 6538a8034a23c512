/* The TTL curve: a line to drag over the figure and a slider, both choosing one of the TTLs that the server worked out. */
"use strict";
(() => {
  const start = (root) => {
    if (root.dataset.ready) return;
    root.dataset.ready = "yes";
    const given = JSON.parse(document.getElementById(root.dataset.ttl).textContent);
    const slider = root.querySelector("input[type=range]");
    const plot = root.querySelector("[data-figure]");
    const line = root.querySelector(".ttl-line");

    // Where Plotly draws: its drag layer covers exactly the plotting area.
    const area = () => {
      const layer = plot.querySelector(".nsewdrag");
      return layer ? layer.getBoundingClientRect() : null;
    };
    const move = () => {
      const box = area();
      line.hidden = !box || !box.width;
      if (line.hidden) return;
      const frame = line.parentElement.getBoundingClientRect();
      const share = (given.steps[slider.value][0] - given.low) / (given.high - given.low);
      line.style.left = `${box.left - frame.left + share * box.width}px`;
      line.style.top = `${box.top - frame.top}px`;
      line.style.height = `${box.height}px`;
    };
    const show = () => {
      const step = given.steps[slider.value];
      for (const part of root.querySelectorAll("[data-ttl-part]")) part.textContent = step[part.dataset.ttlPart];
      slider.setAttribute("aria-valuetext", step[1]);
      move();
    };
    const choose = (clientX) => {
      const box = area();
      if (!box || !box.width) return;
      const at = given.low + ((clientX - box.left) / box.width) * (given.high - given.low);
      let best = 0;
      given.steps.forEach((step, index) => {
        if (Math.abs(step[0] - at) < Math.abs(given.steps[best][0] - at)) best = index;
      });
      slider.value = best;
      show();
    };

    slider.addEventListener("input", show);
    line.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      line.setPointerCapture(event.pointerId);
    });
    line.addEventListener("pointermove", (event) => {
      if (line.hasPointerCapture(event.pointerId)) choose(event.clientX);
    });
    plot.addEventListener("click", (event) => choose(event.clientX));
    // Plotly draws late, and again when theme or size change.
    new MutationObserver(move).observe(plot, { childList: true, subtree: true });
    new ResizeObserver(move).observe(plot);
    show();
  };

  const within = (root) => {
    if (root.matches && root.matches("[data-ttl]")) start(root);
    root.querySelectorAll("[data-ttl]").forEach(start);
  };
  document.addEventListener("DOMContentLoaded", () => {
    within(document);
    if (window.htmx) window.htmx.onLoad(within);
  });
})();
