/* Draws the figures: reads data and structure from JSON, colours from the CSS tokens; re-themes, resizes, purges. */
"use strict";
(() => {
  const config = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false, showTips: false };
  const TOKENS = {
    line: "--chart-line", previous: "--chart-previous", neutral: "--chart-neutral", down: "--chart-down", up: "--chart-up",
    accent: "--accent", track: "--track-bg",
  };

  // A custom property holding light-dark(...) reads back unresolved; a real property gives the colour in use.
  const probe = document.createElement("span");
  probe.hidden = true;
  let cache = new Map();
  const token = (name) => {
    if (!cache.has(name)) {
      if (!probe.isConnected) document.body.append(probe);
      probe.style.color = `var(${name})`;
      cache.set(name, getComputedStyle(probe).color);
    }
    return cache.get(name);
  };
  const colour = (role) => {
    if (!role) return token("--series-other");
    if (TOKENS[role]) return token(TOKENS[role]);
    return token(`--${role.replace(":", "-")}`);
  };

  const paint = (trace) => {
    const meta = trace.meta || {};
    const main = colour(meta.role);
    const out = { ...trace };
    if (trace.type === "bar") {
      const colours = meta.roles ? meta.roles.map(colour) : main;
      out.marker = { ...trace.marker, color: colours, line: { width: 0 } };
      out.textfont = { color: token("--chart-text") };
    } else if (trace.type === "waterfall") {
      out.increasing = { marker: { color: token("--chart-up") } };
      out.decreasing = { marker: { color: token("--chart-down") } };
      out.totals = { marker: { color: token("--chart-neutral") } };
      out.connector = { line: { color: token("--chart-previous"), width: 1, dash: "dot" } };
      out.textfont = { color: token("--chart-text") };
    } else {
      out.line = { ...trace.line, color: main };
      if (trace.stackgroup || trace.fill) out.fillcolor = main;
      out.marker = { ...trace.marker, color: main };
    }
    out.hoverlabel = { ...trace.hoverlabel, namelength: -1 };
    return out;
  };

  const axis = (given) => ({
    gridcolor: token("--chart-grid"), zerolinecolor: token("--border-strong"), showline: false, fixedrange: true, ...given,
    tickfont: { color: token("--chart-text"), size: 11, ...given.tickfont },
  });
  // The server names about eight buckets; on a narrow screen every second or third of them is enough.
  const thinned = (given, width) => {
    const at = given.tickvals || [];
    const step = Math.ceil((at.length * 66) / Math.max(width - 60, 66));
    if (given.type !== "category" || step < 2 || !given.categoryarray) return given;
    const kept = (_, index) => (at.length - 1 - index) % step === 0;
    return { ...given, tickvals: at.filter(kept), ticktext: given.ticktext.filter(kept) };
  };
  const frame = (layout, width) => {
    const out = {
      ...layout,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true,
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: token("--chart-text") },
      hoverlabel: {
        bgcolor: token("--panel-bg"), bordercolor: token("--border"), align: "left",
        font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: token("--text") },
      },
    };
    for (const key of Object.keys(layout)) if (/^[xy]axis\d*$/.test(key)) out[key] = axis(layout[key]);
    if (layout.xaxis) out.xaxis = { ...thinned(out.xaxis, width), showspikes: false };
    out.shapes = (layout.shapes || []).map((s) => ({ ...s, line: { ...s.line, color: colour(s.name || "previous") } }));
    out.annotations = (layout.annotations || []).map((a) => ({ ...a, font: { size: 11, color: token("--chart-text") } }));
    return out;
  };

  const draw = (element) => {
    const source = document.getElementById(element.dataset.figure);
    if (!source || !window.Plotly) return;
    const figure = JSON.parse(source.textContent);
    window.Plotly.react(element, figure.data.map(paint), frame(figure.layout, element.clientWidth), config).then(() => {
      element.dataset.drawn = "yes";
      if (element.dataset.clickable) return;
      element.dataset.clickable = "yes";
      // A mark may carry the address that filters by it.
      element.on("plotly_click", (event) => {
        const point = event.points[0];
        const links = (point.data.meta || {}).links;
        const link = links && links[point.pointNumber];
        if (link) location.assign(link);
      });
    });
  };
  const within = (root) => {
    const found = [...root.querySelectorAll("[data-figure]")];
    if (root.matches && root.matches("[data-figure]")) found.push(root);
    return found;
  };

  // What is in sight is drawn at once. The rest is drawn when it comes near, or when all panels are there and the browser
  // has nothing else to do: drawing is most of a page's work, and what one looks at should not wait for it.
  const idle = window.requestIdleCallback || ((work) => setTimeout(work, 200));
  const near = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => drawLate(entry.target)),
    { rootMargin: "300px" },
  );
  const drawLate = (element) => {
    near.unobserve(element);
    if (element.isConnected && !element.dataset.drawn) draw(element);
  };
  const whenIdle = (element, tries = 100) => idle(() => {
    const waiting = tries > 0 && document.querySelector("[data-state=loading]");
    if (waiting) setTimeout(() => whenIdle(element, tries - 1), 50);
    else drawLate(element);
  });
  const show = (element) => {
    const { top, bottom } = element.getBoundingClientRect();
    if (bottom > 0 && top < innerHeight) return draw(element);
    near.observe(element);
    whenIdle(element);
  };

  const start = () => {
    within(document).forEach(show);
    if (!window.htmx) return;
    window.htmx.onLoad((root) => within(root).forEach(show));
    document.addEventListener("htmx:beforeCleanupElement", (event) => {
      if (event.target.matches && event.target.matches("[data-figure]")) window.Plotly.purge(event.target);
    });
  };
  document.addEventListener("DOMContentLoaded", start);
  document.addEventListener("breakeven:theme", () => {
    cache = new Map();
    requestAnimationFrame(() => within(document).forEach(draw));
  });
  // Plotly resizes by itself; which axis labels fit is decided anew here.
  let resized = 0;
  addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(() => within(document).forEach(draw), 200);
  });
  // A panel in a closed details or a resized grid cell keeps its old size unless told.
  addEventListener("beforeprint", () => within(document).forEach((element) => {
    if (!element.dataset.drawn) draw(element);
    else if (window.Plotly) window.Plotly.Plots.resize(element);
  }));
})();
