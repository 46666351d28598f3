"use strict";
// Everything from data becomes text or an attribute here, never markup.
(() => {
  const form = document.querySelector("form.ask");
  const status = document.getElementById("status");
  const subject = document.getElementById("subject");
  const list = document.getElementById("hits");
  const first = status.textContent;
  const title = document.title;
  let running = null;

  const make = (name, properties = {}, ...children) => {
    const node = Object.assign(document.createElement(name), properties);
    node.append(...children);
    return node;
  };
  const pictureUrl = (id) => `/images/${encodeURIComponent(id)}`;
  const pageUrl = (query) => `/search?${new URLSearchParams(query)}`;
  const settings = () => ({ kind: form.elements.kind.value, k: form.elements.k.value });
  const picture = (id, text) => make("img", { src: pictureUrl(id), alt: text || id, loading: "lazy", decoding: "async" });
  const chinese = (className, text) => make("span", { className, lang: "zh" }, text);

  const scores = (hit, fused) => {
    const rows = fused ? [["fused", hit.score, 4], ["keywords", hit.keywords, 2], ["vectors", hit.vectors, 4]] : [["vectors", hit.vectors, 4]];
    const cells = rows.flatMap(([name, value, digits]) => [
      make("dt", {}, name), make("dd", {}, value === null ? "–" : value.toFixed(digits)),
    ]);
    const table = make("dl", {}, ...cells);
    table.className = "scores";
    return table;
  };

  const entry = (hit, at, kind, fused) => {
    const words = make("div", { className: "words" });
    if (hit.text) words.append(chinese("caption", hit.text));
    words.append(make("span", { className: "place" }, `${at + 1} · ${hit.data}, ${hit.split}`), scores(hit, fused));
    if (kind === "texts") {
      words.append(make("a", { className: "more", href: pageUrl({ ...settings(), text: hit.text }) }, "search for this text"));
    } else if (!form.querySelector("[value=texts]").disabled) {
      words.append(make("a", { className: "more", href: pageUrl({ ...settings(), image: hit.image, kind: "texts" }) }, "texts near it"));
    }
    const item = make("li");
    if (hit.image) {
      const link = make("a", { className: "shown", href: pageUrl({ ...settings(), image: hit.image, kind: "images" }), title: "images near this one" });
      link.append(picture(hit.image, hit.text));
      item.append(link);
    }
    item.append(words);
    return item;
  };

  const show = (answer) => {
    const { query, kind, hits } = answer;
    list.className = kind === "texts" ? "found lines" : "found";
    list.replaceChildren(...hits.map((hit, at) => entry(hit, at, kind, !query.image)));
    const count = `${hits.length} ${hits.length === 1 ? kind.slice(0, -1) : kind}`;
    status.textContent = hits.length ? `${count} in ${answer.milliseconds.toFixed(0)} ms` : "Nothing was found.";
    document.title = `${query.text || query.image} · ${title}`;
    subject.hidden = !query.image;
    subject.replaceChildren();
    if (!query.image) return;
    const words = make("div", {}, make("h2", {}, `${kind === "texts" ? "Texts" : "Images"} near this one`));
    if (query.text) words.append(make("p", { lang: "zh" }, query.text));
    words.append(make("p", { className: "soft" }, query.image));
    subject.append(picture(query.image, query.text), words);
    subject.focus({ preventScroll: true });
    scrollTo(0, 0);
  };

  const fail = (reason) => {
    list.replaceChildren();
    subject.hidden = true;
    status.classList.add("wrong");
    status.textContent = reason;
  };

  // What the address says is asked.
  const ask = async () => {
    running?.abort();
    const query = new URLSearchParams(location.search);
    const wanted = new URLSearchParams();
    for (const name of ["text", "image", "kind", "k"]) if (query.get(name)) wanted.set(name, query.get(name));
    if (wanted.has("image")) wanted.delete("text");
    form.elements.text.value = wanted.get("text") ?? "";
    for (const name of ["kind", "k"]) if (wanted.has(name)) form.elements[name].value = wanted.get(name);
    status.classList.remove("wrong");
    if (!wanted.has("text") && !wanted.has("image")) {
      list.replaceChildren();
      subject.hidden = true;
      status.textContent = first;
      document.title = title;
      return;
    }
    const own = running = new AbortController();
    status.textContent = "Searching …";
    try {
      const response = await fetch(`/api/search?${wanted}`, { signal: own.signal });
      const answer = await response.json();
      if (own.signal.aborted) return;
      if (response.ok) show(answer); else fail(answer.error);
    } catch {
      if (!own.signal.aborted) fail("The server does not answer; is it still running?");
    }
  };

  const go = (url) => {
    if (url !== location.pathname + location.search) history.pushState(null, "", url);
    ask();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go(pageUrl({ text: form.elements.text.value.trim(), ...settings() }));
  });
  form.addEventListener("change", (event) => {
    const query = new URLSearchParams(location.search);
    if (event.target.name === "text" || !(query.get("text") || query.get("image"))) return;
    go(pageUrl({ ...Object.fromEntries(query), ...settings() }));
  });
  list.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
  addEventListener("popstate", ask);
  ask();
})();
