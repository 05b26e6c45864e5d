"use strict";
// The list of scenes. Only cards near the window are in the page: it stays light with any number of scenes.
(() => {
  const [NAME, STEM, KEY, QUALITY, WRITTEN, NOTE, STATE] = [0, 1, 2, 3, 4, 5, 6]; // columns of SCENES
  const [ASIDE, DAMAGED] = [1, 2]; // values of STATE
  const LEAST_WIDTH = 150; // of a card, in CSS pixels, like all lengths here
  const GAP = 12;
  const BEYOND = 1; // windows above and below that have cards
  const FAST = 3; // windows a second, from which nothing is loaded
  const SETTLED = 100; // milliseconds without scrolling

  const $ = (id) => document.getElementById(id);
  const list = $("scenes");
  const inputs = { q: $("search"), sort: $("sort"), show: $("show") };
  const usual = { q: "", sort: "name", show: "all" };
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const texts = SCENES.map((scene) => plain(`${scene[NAME]} ${scene[NOTE]}`));
  const cards = new Map(); // by place in SCENES
  let found = []; // places in SCENES, in the order shown
  let columns = 1, width = 0, height = 0, top = 0;

  const waiting = new Set(); // images in or near the window that are not loaded
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) waiting[isIntersecting ? "add" : "delete"](target);
      load();
    },
    { rootMargin: "50% 0px" },
  );
  let speed = 0; // of scrolling, in windows a second

  /** Load the images that are waited for, unless they fly past too fast to be seen. */
  function load() {
    if (speed > FAST) return;
    for (const image of waiting) {
      image.src = image.dataset.src;
      seen.unobserve(image);
    }
    waiting.clear();
  }

  function forget(image) {
    seen.unobserve(image);
    waiting.delete(image);
  }

  function element(tag, className, text = "") {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = text;
    return made;
  }

  function makeCard(place) {
    const scene = SCENES[place];
    const card = element("li", "card");
    const link = element("a", "");
    const frame = element("span", "frame");
    link.href = `scenes/${encodeURIComponent(scene[STEM])}.html`;
    if (scene[KEY]) {
      const image = new Image();
      image.decoding = "async";
      image.draggable = false;
      image.dataset.src = `scenes/${encodeURIComponent(scene[STEM])}.${scene[KEY]}.webp`;
      image.alt = `Picture of ${scene[NAME]}`;
      frame.append(image);
      seen.observe(image);
    } else {
      frame.classList.add("blank");
      frame.append(element("span", "reason", scene[NOTE] || "No reason is known."));
    }
    const facts = [
      scene[QUALITY] === null ? "" : `${scene[QUALITY].toFixed(1)} dB`,
      scene[STATE] === DAMAGED ? "damaged" : scene[NOTE] || scene[STATE] === ASIDE ? "put aside" : "",
    ];
    const name = element("span", "name", scene[NAME]);
    name.title = scene[NAME];
    link.append(frame, name, element("span", "fact", facts.filter(Boolean).join(", ")));
    card.append(link);
    card.dataset.place = place;
    return card;
  }

  /** Put the cards of the rows near the window into the page, and take all others out. */
  function update() {
    const rows = Math.ceil(found.length / columns);
    const start = scrollY - top - innerHeight * BEYOND;
    const first = Math.max(0, Math.min(rows, Math.floor(start / height))) * columns;
    const last = Math.max(0, Math.min(rows, Math.ceil((start + innerHeight * (1 + 2 * BEYOND)) / height))) * columns;
    const wanted = new Map();
    const focused = document.activeElement?.closest("#scenes .card"); // stays, as keys go on from there
    const at = focused ? found.indexOf(Number(focused.dataset.place)) : -1;
    if (at >= 0 && at < first) wanted.set(found[at], at);
    for (let i = first; i < Math.min(last, found.length); i++) wanted.set(found[i], i);
    if (at >= last) wanted.set(found[at], at);
    for (const [place, card] of cards) {
      if (wanted.has(place)) continue;
      const image = card.querySelector("img");
      if (image) forget(image);
      card.remove();
      cards.delete(place);
    }
    let after = null;
    for (const [place, i] of wanted) {
      let card = cards.get(place);
      if (!card) cards.set(place, (card = makeCard(place)));
      if (card.dataset.at !== String(i) || card.dataset.layout !== layout.key) {
        card.dataset.at = i;
        card.dataset.layout = layout.key;
        card.setAttribute("aria-posinset", i + 1);
        card.setAttribute("aria-setsize", found.length);
        const x = (i % columns) * (width + GAP);
        card.style.transform = `translate(${x}px, ${Math.floor(i / columns) * height}px)`;
      }
      const next = after ? after.nextElementSibling : list.firstElementChild;
      if (next !== card) list.insertBefore(card, next);
      after = card;
    }
  }

  /** Choose how many columns there are, and how large cards are. */
  function layout() {
    const across = list.clientWidth;
    columns = Math.max(2, Math.floor((across + GAP) / (LEAST_WIDTH + GAP)));
    width = (across - GAP * (columns - 1)) / columns;
    list.style.setProperty("--card", `${width}px`);
    const probe = list.querySelector(".card") ?? list.appendChild(makeCard(0));
    height = probe.offsetHeight + GAP;
    if (!cards.has(Number(probe.dataset.place))) probe.remove();
    layout.key = `${width} ${height} ${found.length}`;
    list.style.height = `${Math.ceil(found.length / columns) * height}px`;
    top = list.getBoundingClientRect().top + scrollY;
    update();
  }

  const missingLast = (column, sign) => (a, b) => {
    const [x, y] = [SCENES[a][column], SCENES[b][column]];
    return x === null || y === null ? (x === null) - (y === null) || a - b : sign * (x - y) || a - b;
  };
  const orders = {
    name: (a, b) => a - b,
    best: missingLast(QUALITY, -1),
    worst: missingLast(QUALITY, 1),
    newest: missingLast(WRITTEN, -1),
    oldest: missingLast(WRITTEN, 1),
  };
  const kinds = {
    all: () => true,
    learnt: (scene) => scene[KEY] !== "",
    aside: (scene) => scene[STATE] === ASIDE || (scene[STATE] !== DAMAGED && scene[NOTE] !== ""),
    damaged: (scene) => scene[STATE] === DAMAGED,
  };

  /** Find the scenes that are asked for, and say how many. */
  function find() {
    const words = plain(inputs.q.value).split(/\s+/).filter(Boolean);
    found = [];
    for (let i = 0; i < SCENES.length; i++) {
      if (kinds[inputs.show.value](SCENES[i]) && words.every((word) => texts[i].includes(word))) found.push(i);
    }
    found.sort(orders[inputs.sort.value]);
    const all = SCENES.length.toLocaleString("en");
    const some = found.length === SCENES.length ? all : `${found.length.toLocaleString("en")} of ${all}`;
    $("hits").textContent = `${some} ${SCENES.length === 1 ? "scene" : "scenes"}`;
    $("none").hidden = found.length > 0;
    $("hint").hidden = !found.length;
    layout();
  }

  function remember() {
    const asked = new URLSearchParams();
    for (const [key, input] of Object.entries(inputs)) if (input.value !== usual[key]) asked.set(key, input.value);
    try {
      history.replaceState(null, "", `#${asked}`);
      sessionStorage.setItem(`tda-list ${location.pathname}`, location.hash);
    } catch {} // then going back shows all scenes
  }

  function recall() {
    const asked = new URLSearchParams(location.hash.slice(1));
    for (const [key, input] of Object.entries(inputs)) {
      input.value = asked.get(key) ?? usual[key];
      if (!input.value) input.value = usual[key]; // no such choice
    }
    find();
  }

  function change() {
    remember();
    find();
    if (scrollY > top) scrollTo(0, 0);
  }

  let due = false, settling = 0, before = { y: scrollY, at: performance.now() };
  addEventListener("scroll", () => {
    clearTimeout(settling);
    settling = setTimeout(() => {
      speed = 0;
      load();
    }, SETTLED);
    if (due) return;
    due = true;
    requestAnimationFrame((at) => {
      due = false;
      speed = (1000 * Math.abs(scrollY - before.y)) / innerHeight / Math.max(at - before.at, 1);
      before = { y: scrollY, at };
      update();
      load();
    });
  }, { passive: true });
  addEventListener("hashchange", () => location.hash !== "#main" && recall());
  $("search").addEventListener("input", change);
  $("sort").addEventListener("change", change);
  $("show").addEventListener("change", change);
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  $("reset").addEventListener("click", () => {
    for (const [key, input] of Object.entries(inputs)) input.value = usual[key];
    change();
    inputs.q.focus();
  });

  const imageOf = (event) => event.target.closest?.(".card")?.querySelector("img");
  list.addEventListener("pointermove", (event) => {
    const image = imageOf(event);
    if (!image || event.pointerType === "touch") return;
    const box = image.parentElement.getBoundingClientRect();
    turning.stop();
    turning.show(image, Math.round(((event.clientX - box.left) / box.width - 0.5) * turning.frames));
  });
  list.addEventListener("pointerout", (event) => {
    const image = imageOf(event);
    if (image && !event.target.closest(".card").contains(event.relatedTarget)) turning.show(image, 0);
  });
  list.addEventListener("focusin", (event) => {
    const image = imageOf(event);
    if (image && event.target.matches(":focus-visible")) turning.spin(image);
  });
  list.addEventListener("focusout", (event) => {
    const image = imageOf(event);
    turning.stop();
    if (image) turning.show(image, 0);
  });
  list.addEventListener("keydown", (event) => {
    const image = imageOf(event);
    const count = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!image || !count || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    turning.by(image, count);
  });
  new ResizeObserver(() => list.clientWidth && layout()).observe(list.parentElement);
  recall();
})();
