// What the page does in the browser besides playing (player.js): buttons, the map, the address.
// Everything is delegated from the document, because Gradio replaces results as a whole.
(() => {
  const page = window.raclap;

  // ---- numbers beside sliders: Gradio takes none that is out of bounds or missing
  const bounded = (box) => box.matches?.("input[type=number][min][max]");
  document.addEventListener("input", (event) => {
    const box = event.target;
    if (!bounded(box)) return;
    if (Number(box.value) > box.max) box.value = box.max;
    if (box.value === "" || Number(box.value) < box.min) event.stopImmediatePropagation(); // 0 may become 0.5
  }, true);
  for (const kind of ["change", "focusout"])
    document.addEventListener(kind, (event) => {
      const box = event.target;
      if (!bounded(box)) return;
      if (box.value === "") box.value = box.closest(".block").querySelector("input[type=range]").value;
      if (Number(box.value) >= box.min) return;
      box.value = box.min;
      box.dispatchEvent(new Event("input", { bubbles: true }));
    }, true);

  // Gradio sets a slider back without telling those who listen to a hand on it.
  document.addEventListener("click", (event) => {
    const box = event.target.closest?.(".reset-button")?.parentElement.querySelector("input");
    if (box) setTimeout(() => box.dispatchEvent(new Event("input", { bubbles: true })));
  });

  // An open list of choices follows the window, but not the filters where they scroll by themselves.
  document.addEventListener("scroll", ({ target }) => { if (target.id === "filters") dispatchEvent(new Event("scroll")); }, true);

  // Gradio calls a chosen clip by its number where it can be taken away.
  const removers = document.getElementsByClassName("token-remove");
  new MutationObserver(() => {
    for (const each of removers) {
      const said = each.parentElement.matches(".token") && `Remove ${each.parentElement.textContent.trim()}`;
      if (said && each.title !== said) each.title = said;
    }
  }).observe(document, { subtree: true, childList: true, attributeFilter: ["title"] });

  // ---- buttons
  document.addEventListener("click", (event) => {
    const at = (selector) => event.target.closest?.(selector);
    let found;
    if ((found = at("circle[data-sound]"))) choose(found);
    else if ((found = at("[data-cell]"))) {
      const [clip, text] = found.dataset.cell.split(" ");
      page.sound(found.dataset.sound);
      ask("cell", { clip, text }, found);
    } else if ((found = at("[data-sound]"))) page.sound(found.dataset.sound);
    else if (at(".skip")) {
      event.preventDefault(); // the address is the query's
      document.querySelector("#found").focus({ preventScroll: true });
      document.querySelector(".beside .status").scrollIntoView();
    } else if ((found = at("[data-tell=why]"))) {
      const { text, without } = found.closest("[data-text]").dataset;
      ask("why", { clip: found.dataset.clip, text, without }, found);
    } else if (at("[data-dismiss]")) dismiss();
    else if (at("[role=tab]")) page.why("");
    else if ((found = at("[data-tell]"))) {
      if (found.dataset.tell === "similar") led = found.dataset.clip;
      page.channels[found.dataset.tell]?.({ clip: found.dataset.clip });
      const tab = { similar: "voice", change: "blend" }[found.dataset.tell]; // at once: the answer takes a while
      if (tab) tabOf(tab)?.click();
    }
    else if (at("#more")) shown = results().length;
    else if ((found = at("[data-zoom]"))) zoom(found.closest(".atlas").querySelector("svg"), found.dataset.zoom);
    else if ((found = at("[data-only]"))) only(found);
    else if ((found = at("[data-copy]"))) copy(found);
  });
  const copy = (button) => {
    const code = button.parentElement.querySelector("code");
    const say = (words) => { button.textContent = words; setTimeout(() => { button.textContent = "Copy"; }, 2000); };
    if (navigator.clipboard) return navigator.clipboard.writeText(code.textContent).then(() => say("Copied"));
    getSelection().selectAllChildren(code); // another machine's page over plain HTTP has no clipboard
    say("Now press Ctrl+C");
  };

  // Whoever asks for more goes on with the first one that is new, not with the button below them all.
  let shown = 0;
  const results = () => document.querySelectorAll("#results .hit .play");
  page.further = () => {
    if (document.activeElement === document.body || document.activeElement.id === "more") results()[shown]?.focus();
  };

  // ---- why a clip was found: a panel that is open at once and filled when the answer is there
  let asker;
  const sheet = () => document.querySelector("#why");
  page.why = (state) => {
    if (state === "shown" && !sheet().dataset.why) return; // closed before the answer was there
    if (state) sheet().dataset.why = state;
    else delete sheet().dataset.why;
    document.documentElement.style.scrollPaddingBottom = state ? "72vh" : ""; // nothing in focus lies under it
  };
  const ask = (channel, said, button) => {
    asker = button;
    page.why("waiting");
    sheet().querySelector("h2").focus({ preventScroll: true });
    const dark = document.body.classList.contains("dark");
    page.channels[channel]?.({ ...said, dark, narrow: innerWidth < 700 });
  };
  const dismiss = () => {
    page.why("");
    if (asker?.isConnected) asker.focus({ preventScroll: true });
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && sheet()?.dataset.why) dismiss();
  });

  // ---- the map
  const choose = (point) => {
    mark(point);
    point.focus({ preventScroll: true });
    page.sound(point.dataset.sound, point.closest(".atlas").querySelector(".now audio"));
  };
  const mark = (point) => {
    const atlas = point.closest(".atlas"), now = atlas.querySelector(".now");
    atlas.querySelectorAll("circle").forEach((each) => { each.tabIndex = -1; each.classList.remove("chosen"); });
    point.tabIndex = 0;
    point.classList.add("chosen");
    seen.clip = point.dataset.clip;
    now.querySelector("p").textContent = point.getAttribute("aria-label");
    now.querySelector(".actions").hidden = false;
    now.querySelectorAll("[data-tell]").forEach((button) => { button.dataset.clip = point.dataset.clip; });
  };
  const view = (svg) => svg.viewBox.baseVal;
  const look = (svg, x, y, size) => {
    const keep = (value) => Math.min(1000 - size, Math.max(0, value));
    svg.setAttribute("viewBox", `${keep(x)} ${keep(y)} ${size} ${size}`);
    svg.style.setProperty("--zoom", size / 1000);
    svg.classList.toggle("near", size < 1000); // a finger moves the map, not the page
    seen = { ...seen, gallery: drawnOf(svg), x: view(svg).x, y: view(svg).y, size };
  };
  const zoom = (svg, way, px = 0.5, py = 0.5) => {
    const { x, y, width } = view(svg);
    const size = way === "all" ? 1000 : Math.min(1000, Math.max(80, width * (way === "in" ? 0.6 : 1 / 0.6)));
    look(svg, x + px * (width - size), y + py * (width - size), size);
  };
  // Drawn anew, in other colours, it shows what one looked at, and whole what was marked. Gradio changes it in place.
  let seen = {};
  const drawnOf = (svg) => svg.querySelector("circle")?.dataset.sound.replace(/\d+$/, "");
  new MutationObserver(() => {
    const svg = document.querySelector("#map svg");
    if (!svg) return;
    if (drawnOf(svg) !== seen.gallery) seen = { gallery: drawnOf(svg) };
    const hits = [...svg.querySelectorAll(".hit-point")].map((each) => each.ariaLabel).sort().join();
    if (hits && hits !== seen.hits) look(svg, 0, 0, 1000);
    seen.hits = hits;
    if (seen.size && view(svg).width !== seen.size) look(svg, seen.x, seen.y, seen.size);
    if (!seen.clip || svg.querySelector(".chosen")) return;
    const point = [...svg.querySelectorAll("circle")].find((each) => each.dataset.clip === seen.clip);
    if (point) mark(point);
  }).observe(document, { subtree: true, attributeFilter: ["viewBox", "class"] });
  const only = (button) => {
    const atlas = button.closest(".atlas"), on = button.getAttribute("aria-pressed") !== "true";
    atlas.querySelectorAll("[data-only]").forEach((each) => each.setAttribute("aria-pressed", String(on && each === button)));
    atlas.querySelectorAll("circle").forEach((point) =>
      point.classList.toggle("faded", on && !point.classList.contains(button.dataset.only)));
  };
  document.addEventListener("wheel", (event) => {
    const svg = event.target.closest?.(".atlas svg");
    if (!svg || !(event.ctrlKey || event.metaKey)) return; // the wheel alone scrolls the page
    event.preventDefault();
    const box = svg.getBoundingClientRect();
    zoom(svg, event.deltaY < 0 ? "in" : "out", (event.clientX - box.x) / box.width, (event.clientY - box.y) / box.height);
  }, { passive: false });
  document.addEventListener("click", (event) => {
    const svg = event.target.closest?.(".atlas svg");
    if (!svg || event.target.closest("circle")) return;
    let best, least = 24; // pixels: a finger is wider than a point
    for (const each of svg.querySelectorAll("circle:not(.faded)")) {
      const box = each.getBoundingClientRect();
      const far = Math.hypot(event.clientX - box.x - box.width / 2, event.clientY - box.y - box.height / 2);
      if (far < least) { best = each; least = far; }
    }
    if (best) choose(best);
  });
  let drag, dragged; // by more than a hand that clicks moves
  document.addEventListener("pointerdown", (event) => {
    dragged = false;
    const svg = event.target.closest?.(".atlas svg");
    if (svg && view(svg).width < 1000) drag = { svg, x: event.clientX, y: event.clientY, from: { x: view(svg).x, y: view(svg).y } };
  });
  document.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
    dragged ||= Math.hypot(dx, dy) > 5;
    const scale = view(drag.svg).width / drag.svg.getBoundingClientRect().width;
    look(drag.svg, drag.from.x - dx * scale, drag.from.y - dy * scale, view(drag.svg).width);
  });
  for (const kind of ["pointerup", "pointercancel"]) document.addEventListener(kind, () => { drag = undefined; });
  document.addEventListener("click", (event) => { // one that ends a drag chooses nothing
    if (dragged && event.target.closest?.(".atlas svg")) event.stopImmediatePropagation();
    dragged = false;
  }, true);

  const ways = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  document.addEventListener("keydown", (event) => {
    const point = event.target.closest?.(".atlas circle");
    if (!point) return;
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(point); }
    const way = ways[event.key];
    if (!way) return;
    event.preventDefault();
    const place = (each) => [each.cx.baseVal.value, each.cy.baseVal.value];
    const [x, y] = place(point);
    let best, least = Infinity; // near, and more ahead than aside
    for (const each of point.closest("svg").querySelectorAll("circle")) {
      const dx = place(each)[0] - x, dy = place(each)[1] - y;
      const ahead = dx * way[0] + dy * way[1], aside = Math.abs(dx * way[1]) + Math.abs(dy * way[0]);
      if (each !== point && ahead > 0 && ahead >= aside && ahead + aside < least) { best = each; least = ahead + aside; }
    }
    if (!best) return;
    point.tabIndex = -1;
    best.tabIndex = 0;
    best.focus({ preventScroll: true });
  });

  // On a phone an answer lies below its form; whoever asked for it is taken there, once its tab is open.
  // Anywhere the clips like one lie below its reading; whoever asked for them is taken there.
  let led; // by which clip
  page.arrive = (until = performance.now() + 1000) => {
    const alike = document.querySelector("#alike h2");
    if (led && alike?.dataset.of === led && alike.offsetParent) {
      led = undefined;
      alike.focus({ preventScroll: true });
      return alike.scrollIntoView();
    }
    if (innerWidth >= 700) return;
    const line = [...document.querySelectorAll(".status")].find((each) => each.offsetParent && !each.closest("#why"));
    if (line) line.scrollIntoView({ block: "start" });
    else if (performance.now() < until) requestAnimationFrame(() => page.arrive(until));
  };
  // Whoever a card leads to another tab would lose the focus with the tab that closes.
  new MutationObserver((changes) => {
    const tab = changes.map((each) => each.target).find((each) => each.matches("[role=tab][aria-selected=true]"));
    if (tab) stand(tab.dataset.tabId);
    if (tab) requestAnimationFrame(() => {
      const held = document.activeElement;
      if (held === document.body || !held.getClientRects().length) tab.focus({ preventScroll: true });
    });
  }).observe(document, { subtree: true, attributeFilter: ["aria-selected"] });

  // ---- the address holds the query and the tab, so that a link, or Back, leads there again
  const FIRST = "search", VOICE = "voice";
  const spoken = () => new URLSearchParams(location.search);
  const stays = (words) => (words.toString() ? `?${words}` : location.pathname);
  const BESIDE = ["tab", "clip"]; // what is not of the query
  const asks = (words) => (BESIDE.forEach((name) => words.delete(name)), words.toString());
  let asked = asks(spoken());
  let read = spoken().get("clip") ?? ""; // the clip on Voice; what was uploaded or recorded has no address
  const note = (words) => (read && words.get("tab") === VOICE ? words.set("clip", read) : words.delete("clip"));
  page.heard = (clip) => {
    const words = spoken();
    read = clip ?? "";
    note(words);
    history.replaceState(history.state, "", stays(words));
  };
  page.reread = () => read && spoken().get("tab") === VOICE && page.channels.similar?.({ clip: read });
  page.remember = (names, values) => {
    const words = spoken(), before = words.get("q"), gallery = words.get("gallery");
    for (const name of [...words.keys()]) if (!BESIDE.includes(name) && !name.startsWith("__")) words.delete(name); // those are Gradio's
    names.forEach((name, at) => {
      const usual = name === "top" && values[at] === 10;
      if (values[at] && !usual) words.set(name, values[at]);
    });
    if (words.get("gallery") !== gallery) read = "";
    note(words);
    const another = before && words.get("q") !== before; // only another query is a step to go back from
    history[another ? "pushState" : "replaceState"](history.state, "", stays(words));
    asked = asks(words);
  };
  const stand = (tab) => {
    const words = spoken();
    if (tab === (words.get("tab") ?? FIRST)) return;
    tab === FIRST ? words.delete("tab") : words.set("tab", tab);
    note(words);
    history.pushState(history.state, "", stays(words));
  };
  const tabOf = (name) => document.querySelector(`[role=tab][data-tab-id="${CSS.escape(name)}"]`);
  page.lead = () => (tabOf(spoken().get("tab") ?? FIRST) ?? tabOf(FIRST))?.click();
  // Another tab has kept what it shows; another query is asked anew.
  addEventListener("popstate", () => {
    if (asks(spoken()) !== asked) return location.reload();
    page.lead();
    const clip = spoken().get("clip");
    if (!clip || clip === read) return;
    read = clip;
    page.reread();
  });
  page.settle = (panel) => {
    const here = location.origin + location.pathname.replace(/\/$/, "");
    panel.querySelectorAll("code").forEach((code) => {
      code.textContent = code.textContent.replace("http://127.0.0.1:7860", here);
    });
  };
  // Filters beside the results on a wide window, folded above them on a narrow one.
  page.fold = () => innerWidth < 700 && document.querySelector("#filters button.open")?.click();
})();
