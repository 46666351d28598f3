"use strict";
(() => {
  const every = (selector) => [...document.querySelectorAll(selector)];
  // Nothing folded is lost on paper, except tables of hundreds of rows.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = every("details:not([open]):not(.long)");
    folded.forEach((part) => { part.open = true; });
  });
  addEventListener("afterprint", () => folded.forEach((part) => { part.open = false; }));

  const links = new Map(every("nav a").map((link) => [link.hash.slice(1), link]));
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      links.forEach((link) => link.removeAttribute("aria-current"));
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-20% 0px -75% 0px" });
  every("main > section").forEach((section) => watcher.observe(section));

  const source = document.getElementById("map-data");
  if (!source) return;
  const map = JSON.parse(source.textContent);
  const rows = document.querySelector("#map-table tbody").rows;
  const live = document.getElementById("map-live");
  const legend = document.getElementById("map-legend");
  const panes = every(".pane").map((figure, at) => ({
    canvas: figure.querySelector("canvas"), tip: figure.querySelector(".tip"), stage: map.stages[at],
  }));
  const state = { layout: "tsne", colour: "datasets", images: true, texts: true, only: -1, at: -1 };
  const shown = (point) => (map.texts[point] ? state.texts : state.images)
    && (state.only < 0 || map[state.colour][point] === state.only);
  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    return [1, 2, 3, 4, 5, 6, 7, 0].map((at) => style.getPropertyValue(`--c${at}`).trim()).concat(style.getPropertyValue("--ink").trim());
  };
  const place = (pane, point) => {
    const [half, values] = [pane.canvas.clientWidth / 2, pane.stage[state.layout]];
    return [half + values[2 * point] / 500 * (half - 8), half - values[2 * point + 1] / 500 * (half - 8)];
  };
  const mark = (paint, x, y, size, text) => {
    paint.beginPath();
    if (text) {
      paint.moveTo(x, y - size * 1.2);
      paint.lineTo(x + size * 1.1, y + size * 0.8);
      paint.lineTo(x - size * 1.1, y + size * 0.8);
      paint.closePath();
    } else paint.arc(x, y, size, 0, 7);
  };
  const draw = (pane) => {
    const [side, ratio, palette] = [pane.canvas.clientWidth, devicePixelRatio || 1, colours()];
    pane.canvas.width = pane.canvas.height = Math.round(side * ratio);
    const paint = pane.canvas.getContext("2d");
    paint.scale(ratio, ratio);
    paint.globalAlpha = 0.8;
    let count = 0;
    map.texts.forEach((text, point) => {
      if (!shown(point)) return;
      paint.fillStyle = palette[map[state.colour][point]];
      mark(paint, ...place(pane, point), side < 300 ? 2.2 : 2.9, text);
      paint.fill();
      count += 1;
    });
    pane.canvas.dataset.drawn = count;
    if (state.at < 0) return;
    paint.globalAlpha = 1;
    paint.lineWidth = 2;
    paint.strokeStyle = palette[8];
    mark(paint, ...place(pane, state.at), 7, map.texts[state.at]);
    paint.stroke();
  };
  const drawAll = () => panes.forEach(draw);

  const describe = (point) => {
    const [caption, kind, data, group] = [...rows[point].cells].map((cell) => cell.textContent);
    return { caption, about: [kind, data, group].filter(Boolean).join(", ") };
  };
  const hide = () => panes.forEach((pane) => { pane.tip.hidden = true; });
  const select = (point, pane) => {
    state.at = point;
    hide();
    drawAll();
    if (point < 0) return;
    const { caption, about } = describe(point);
    live.textContent = `${caption} (${about})`;
    const tip = pane.tip;
    tip.replaceChildren();
    if (map.pictures[point] >= 0) {
      const [svg, use] = ["svg", "use"].map((name) => document.createElementNS(legend.ownerDocument.querySelector(".store").namespaceURI, name));
      svg.setAttribute("viewBox", "0 0 128 128");
      svg.setAttribute("class", "pic");
      svg.setAttribute("aria-hidden", "true");
      use.setAttribute("href", `#p${map.pictures[point]}`);
      svg.append(use);
      tip.append(svg);
    }
    const text = document.createElement("span");
    text.textContent = caption;
    if (/\p{Script=Han}/u.test(caption)) text.lang = "zh";
    const small = document.createElement("small");
    small.textContent = about;
    tip.append(text, small);
    tip.hidden = false;
    const [x, y] = place(pane, point);
    const [room, high] = [pane.canvas.clientWidth, tip.offsetHeight];
    tip.style.left = `${Math.max(0, Math.min(x + 12, room - tip.offsetWidth))}px`;
    tip.style.top = `${pane.canvas.offsetTop + (y + 14 + high > room ? Math.max(0, y - high - 12) : y + 14)}px`;
  };
  const nearest = (pane, fits, cost) => {
    let [best, least] = [-1, Infinity];
    map.texts.forEach((_, point) => {
      if (!shown(point)) return;
      const [x, y] = place(pane, point);
      if (!fits(x, y, point)) return;
      const value = cost(x, y);
      if (value < least) [best, least] = [point, value];
    });
    return best;
  };
  const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  for (const pane of panes) {
    const hover = (event) => {
      const box = pane.canvas.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left, event.clientY - box.top];
      const far = (px, py) => Math.hypot(px - x, py - y);
      const point = nearest(pane, (px, py) => far(px, py) < 14, far);
      if (point !== state.at || (point >= 0 && pane.tip.hidden)) select(point, pane);
    };
    pane.canvas.addEventListener("pointermove", hover);
    pane.canvas.addEventListener("pointerdown", hover);
    pane.canvas.addEventListener("pointerleave", () => select(-1, pane));
    pane.canvas.addEventListener("blur", () => select(-1, pane));
    pane.canvas.addEventListener("focus", () => {
      if (!pane.canvas.matches(":focus-visible")) return;
      const half = pane.canvas.clientWidth / 2;
      select(nearest(pane, () => true, (x, y) => Math.hypot(x - half, y - half)), pane);
    });
    pane.canvas.addEventListener("keydown", (event) => {
      if (event.key === "Escape") return select(-1, pane);
      const step = STEPS[event.key];
      if (!step) return;
      event.preventDefault();
      const half = pane.canvas.clientWidth / 2;
      const [x, y] = state.at < 0 ? [half, half] : place(pane, state.at);
      const along = (px, py) => (px - x) * step[0] + (py - y) * step[1];
      const aside = (px, py) => Math.abs((px - x) * step[1]) + Math.abs((py - y) * step[0]);
      const next = nearest(pane, (px, py, point) => point !== state.at && along(px, py) > 0 && aside(px, py) <= 2 * along(px, py),
        (px, py) => along(px, py) + aside(px, py));
      if (next >= 0) select(next, pane);
    });
  }
  const names = () => {
    legend.replaceChildren(...map.names[state.colour].map((name, at) => {
      const [item, button, key] = ["li", "button", "span"].map((tag) => document.createElement(tag));
      button.type = "button";
      button.setAttribute("aria-pressed", String(state.only === at));
      button.title = `Show only ${name}`;
      key.className = `swatch s${at === 7 ? 0 : at + 1}`;
      button.append(key, name);
      button.addEventListener("click", () => {
        state.only = state.only === at ? -1 : at;
        [...legend.querySelectorAll("button")].forEach((other, index) => other.setAttribute("aria-pressed", String(state.only === index)));
        select(-1);
      });
      item.append(button);
      return item;
    }));
  };
  document.getElementById("map-controls").addEventListener("change", ({ target }) => {
    const key = target.name.slice(4);
    state[key] = target.type === "checkbox" ? target.checked : target.value;
    if (key === "colour") state.only = -1;
    names();
    select(-1);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  new ResizeObserver(() => { hide(); drawAll(); }).observe(panes[0].canvas);
  names();
  drawAll();
})();
