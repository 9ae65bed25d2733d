"use strict";
// Draws the list of photos as a map. Reads what the page has (see photo_map.py); writes text, never HTML.
(() => {
const query = (what, where = document) => where.querySelector(what);
const canvas = query("canvas"), stage = query(".stage"), list = query(".list"), card = query(".card");
const search = query("input"), count = query(".count"), colorBy = query("select"), key = query(".key"), said = query(".said"), footer = query("footer");
const pen = canvas.getContext("2d");
const calm = matchMedia("(prefers-reduced-motion: reduce)"), dark = matchMedia("(prefers-color-scheme: dark)");
const pair = (text) => text.split(",").map(Number);
const text = (item, what) => (query(what, item) || { textContent: "" }).textContent;

// -- what there is --------------------------------------------------------------------------------

const sheets = [...document.querySelectorAll(".sheet")];
const areas = [], photos = [];
for (const section of document.querySelectorAll("section")) {
  const [ax, ay] = pair(section.dataset.at), area = { x: ax, y: ay, name: section.dataset.name, photos: 0, number: areas.length };
  for (const item of section.querySelectorAll("li")) {
    const [x, y] = pair(item.dataset.at), link = query("a", item), labels = [...item.querySelectorAll(".label")].map((one) => one.textContent);
    const photo = {
      item, link, x, y, area, rank: area.photos++, cell: item.dataset.cell ? pair(item.dataset.cell) : null,
      name: text(item, ".name"), date: text(item, ".date"), folder: text(item, ".folder"), labels, from: 0, big: null, hit: true,
    };
    photo.ratio = photo.cell ? photo.cell[3] / photo.cell[4] : 4 / 3;
    photo.words = `${photo.name} ${photo.folder} ${photo.date} ${labels.join(" ")}`.toLowerCase();
    photos.push(photo);
  }
  areas.push(area);
}
const world = { w: Math.max(...photos.map((one) => one.x)) || 1, h: Math.max(...photos.map((one) => one.y)) || 0.01 };
const inTurn = [...photos].sort((a, b) => a.rank - b.rank || b.area.photos - a.area.photos); // every area's best, then every second
const areasBySize = [...areas].sort((a, b) => b.photos - a.photos);

// -- where one looks ------------------------------------------------------------------------------

const GAP = 1.06, LARGEST = 260; // between pictures; px of the longer side of the largest
const view = { w: 1, h: 1, base: 1, first: 60, zoom: 1, most: 2, x: world.w / 2, y: world.h / 2 };
const scale = (zoom = view.zoom) => view.base * zoom;
const side = (zoom = view.zoom) => Math.min(LARGEST, view.first * zoom ** 0.7); // px: pictures grow, and more slowly than distances
const toScreen = (one) => [(one.x - view.x) * scale() + view.w / 2, (one.y - view.y) * scale() + view.h / 2];
const sidesOf = (one, longer) => one.ratio >= 1 ? [longer, longer / one.ratio] : [longer * one.ratio, longer];

function measure() {
  document.documentElement.style.setProperty("--head", `${query("header").offsetHeight}px`);
  const box = stage.getBoundingClientRect(), dpr = devicePixelRatio || 1;
  const was = view.base, first = view.w === 1;
  view.w = Math.max(box.width, 1); view.h = Math.max(box.height, 1); view.dpr = dpr;
  canvas.width = Math.round(view.w * dpr); canvas.height = Math.round(view.h * dpr);
  view.first = Math.max(36, Math.min(96, 0.55 * Math.sqrt((view.w * view.h) / photos.length)));
  if (view.h > view.w !== world.h > world.w) turn();
  const room = view.first + 24;
  view.base = Math.max(20, Math.min((view.w - room) / world.w, (view.h - room) / world.h));
  if (was !== view.base || first) appearances();
}

// The axes mean nothing, so the longer side of the map lies along the longer side of the window.
function turn() {
  for (const one of [...photos, ...areas, view]) [one.x, one.y] = [one.y, one.x];
  [world.w, world.h] = [world.h, world.w];
}

// From which zoom on each photo has room beside those before it. Distances grow faster than pictures, so one that
// is seen stays seen when one comes closer.
function appearances() {
  let waiting = inTurn, zoom = 1;
  const there = [];
  for (let level = 0; waiting.length && level < 60; level++, zoom *= 1.15) {
    const longer = side(zoom) / scale(zoom) * GAP, grid = new Map(), left = [];
    const at = (one) => [Math.floor(one.x / longer), Math.floor(one.y / longer)];
    const put = (one) => { const [c, r] = at(one), name = c * 1e6 + r; (grid.get(name) || grid.set(name, []).get(name)).push(one); };
    const meets = (a, b) => {
      const [aw, ah] = sidesOf(a, longer), [bw, bh] = sidesOf(b, longer);
      return Math.abs(a.x - b.x) < (aw + bw) / 2 && Math.abs(a.y - b.y) < (ah + bh) / 2;
    };
    there.forEach(put);
    for (const one of waiting) {
      const [c, r] = at(one);
      let free = true;
      for (let dc = -1; dc <= 1 && free; dc++) for (let dr = -1; dr <= 1 && free; dr++)
        free = !(grid.get((c + dc) * 1e6 + r + dr) || []).some((other) => meets(one, other));
      if (free) { one.from = zoom; put(one); there.push(one); } else left.push(one);
    }
    waiting = left;
  }
  for (const one of waiting) one.from = zoom;
  view.most = Math.max(4, zoom * 1.2);
  inTurn.sort((a, b) => a.from - b.from);
}

const bounded = (zoom) => Math.max(0.7, Math.min(view.most, zoom));
function look(zoom, x, y) {
  view.zoom = bounded(zoom);
  view.x = Math.max(0, Math.min(world.w, x)); view.y = Math.max(0, Math.min(world.h, y));
  redraw();
}
function zoomAt(factor, px, py) { // what lies under the pointer stays there
  const zoom = bounded(view.zoom * factor);
  const x = view.x + (px - view.w / 2) / scale(), y = view.y + (py - view.h / 2) / scale();
  look(zoom, x - (px - view.w / 2) / scale(zoom), y - (py - view.h / 2) / scale(zoom));
}
let flight = 0, aim = null; // the zoom that a flight ends at: a second key press goes on from there
function land() { cancelAnimationFrame(flight); aim = null; }
function fly(zoom, x, y) {
  land();
  zoom = bounded(zoom);
  if (calm.matches) return look(zoom, x, y);
  const from = { ...view };
  let began = null;
  aim = zoom;
  const step = (now) => {
    began ??= now;
    const t = Math.min(1, (now - began) / 180), e = 1 - (1 - t) ** 3;
    look(from.zoom * (zoom / from.zoom) ** e, from.x + (x - from.x) * e, from.y + (y - from.y) * e);
    if (t < 1) flight = requestAnimationFrame(step); else aim = null;
  };
  flight = requestAnimationFrame(step);
}
function all() { fly(1, world.w / 2, world.h / 2); }
function fit(some) {
  if (!some.length) return;
  const xs = some.map((one) => one.x), ys = some.map((one) => one.y);
  const [l, r, t, b] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const zoom = Math.min(view.w / ((r - l) * view.base + 1), view.h / ((b - t) * view.base + 1)) * 0.7;
  const seen = Math.max(...some.map((one) => one.from));
  fly(some.length === 1 ? Math.max(view.zoom, seen * 1.02) : Math.min(zoom, view.most), (l + r) / 2, (t + b) / 2);
}

// -- drawing --------------------------------------------------------------------------------------

let ink = {}, waitingFrame = false, over = null, listed = false;
const colors = new Map(); // of a photo's kind
function inks() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ground", "print", "ink", "quiet", "edge", "accent", "c0", "c1", "c2", "c3", "c4", "c5", "c6"]) ink[name] = style.getPropertyValue(`--${name}`).trim();
}
function redraw() {
  if (waitingFrame || listed) return;
  waitingFrame = true;
  requestAnimationFrame(() => { waitingFrame = false; draw(); });
}
const isMarked = () => chosen !== null || search.value.trim() !== "";
const isLit = (one) => one.hit && (chosen === null || kindOf(one) === chosen);

function draw() {
  const longer = side(), marked = isMarked();
  pen.setTransform(view.dpr, 0, 0, view.dpr, 0, 0);
  pen.imageSmoothingQuality = "high";
  pen.fillStyle = ink.ground;
  pen.fillRect(0, 0, view.w, view.h);
  const shown = [], dots = [];
  for (const one of photos) {
    const [px, py] = toScreen(one);
    if (px < -longer || py < -longer || px > view.w + longer || py > view.h + longer) continue;
    (one.from <= view.zoom * 1.0001 && one.cell ? shown : dots).push([one, px, py]);
  }
  const radius = Math.max(1.6, Math.min(4, longer / 18));
  for (const lit of marked ? [false, true] : [true]) for (const [one, px, py] of dots) {
    if (marked && isLit(one) !== lit) continue;
    pen.globalAlpha = lit ? 0.85 : 0.2;
    pen.fillStyle = colorOf(one);
    pen.beginPath(); pen.arc(px, py, lit && marked ? radius * 1.5 : radius, 0, 7); pen.fill();
  }
  for (const lit of marked ? [false, true] : [true]) for (const one of shown) if (!marked || isLit(one[0]) === lit) picture(one, longer, lit);
  pen.globalAlpha = 1;
  names(longer);
  if (over) place();
  if (over) outline(over, over.from <= view.zoom * 1.0001 ? longer : radius * 5);
  larger(shown, longer);
}
function picture([one, px, py], longer, lit) {
  const [w, h] = sidesOf(one, longer), x = px - w / 2, y = py - h / 2;
  const [sheet, sx, sy, sw, sh] = one.cell;
  pen.globalAlpha = lit ? 1 : 0.16;
  const edge = colorBy.value === "" ? 0 : Math.max(1.5, longer / 36);
  if (edge) { pen.fillStyle = colorOf(one); pen.fillRect(x - edge, y - edge, w + 2 * edge, h + 2 * edge); }
  if (one.big && one.big.complete && one.big.naturalWidth) pen.drawImage(one.big, x, y, w, h);
  else if (sheets[sheet] && sheets[sheet].complete) pen.drawImage(sheets[sheet], sx + 0.5, sy + 0.5, sw - 1, sh - 1, x, y, w, h); // half a pixel in: its neighbours would shine through
}
function outline(one, longer) {
  const [w, h] = sidesOf(one, longer), [px, py] = toScreen(one);
  pen.strokeStyle = ink.accent; pen.lineWidth = 3;
  pen.strokeRect(px - w / 2 - 3, py - h / 2 - 3, w + 6, h + 6);
}
// Names of areas, the largest first, none over another; not where single photos are looked at.
function names(longer) {
  if (longer > 130) return;
  pen.font = "600 14px system-ui, sans-serif"; pen.textAlign = "center"; pen.textBaseline = "middle"; pen.lineJoin = "round";
  const taken = [];
  for (const area of areasBySize) {
    if (!area.name) continue;
    const [px, py] = toScreen(area), w = pen.measureText(area.name).width / 2 + 10;
    const x = Math.max(w, Math.min(view.w - w, px));
    if (px < -w || px > view.w + w || py < 10 || py > view.h - 10) continue;
    if (taken.some((box) => Math.abs(box.x - x) < box.w + w && Math.abs(box.y - py) < 26)) continue;
    taken.push({ x, y: py, w });
    pen.globalAlpha = 0.86; pen.fillStyle = ink.ground;
    pen.beginPath(); pen.roundRect(x - w, py - 12, 2 * w, 24, 12); pen.fill();
    pen.globalAlpha = 1; pen.fillStyle = ink.ink; pen.fillText(area.name, x, py + 1);
  }
}
// Sharper pictures for what is looked at closely; the least recently seen ones go.
const MOST_LARGE = 240, large = [];
function larger(shown, longer) {
  if (longer * view.dpr <= 72) return;
  for (const [one] of shown) if (!one.big) loadLarge(one);
}
function loadLarge(one) {
  const source = query("img", one.item);
  if (!source || one.big) return;
  one.big = new Image();
  one.big.onload = redraw;
  one.big.src = source.getAttribute("src");
  large.push(one);
  if (large.length > MOST_LARGE) {
    const [px, py] = toScreen(large[0]);
    if (px > 0 && py > 0 && px < view.w && py < view.h) large.push(large.shift()); else large.shift().big = null;
  }
}

// -- colours --------------------------------------------------------------------------------------

const KINDS = {
  area: { title: "Colour: region", of: (one) => one.area.name || "no name" },
  folder: { title: "Colour: folder", of: (one) => one.folder.split(/[\\/]/)[0] || "." },
  year: { title: "Colour: year", of: (one) => one.date.slice(0, 4) || "no date" },
  label: { title: "Colour: label", of: (one) => one.labels[0] || "no label" },
};
let chosen = null;
const NONE = new Set(["no name", "no date", "no label"]);
const kindOf = (one) => colorBy.value ? KINDS[colorBy.value].of(one) : "";
const colorOf = (one) => colors.get(kindOf(one)) || ink.quiet;
function counted(kind) {
  const found = new Map();
  for (const one of photos) { const name = KINDS[kind].of(one); found.set(name, (found.get(name) || 0) + 1); }
  return found;
}
function recolor() {
  colors.clear(); key.textContent = ""; chosen = null;
  if (colorBy.value) {
    const found = [...counted(colorBy.value)], isYear = colorBy.value === "year";
    found.sort((a, b) => NONE.has(a[0]) - NONE.has(b[0]) || (isYear ? a[0].localeCompare(b[0]) : b[1] - a[1] || a[0].localeCompare(b[0])));
    const years = found.filter(([name]) => !NONE.has(name)).length;
    found.forEach(([name], place) => {
      if (NONE.has(name)) colors.set(name, ink.quiet);
      else if (isYear) colors.set(name, `hsl(${250 - 225 * (years > 1 ? place / (years - 1) : 0)} 62% ${dark.matches ? 62 : 45}%)`); // old is blue, new is orange
      else colors.set(name, place < 7 ? ink[`c${place}`] : ink.quiet);
    });
    for (const [name, number] of found.slice(0, 60)) {
      const button = document.createElement("button");
      button.type = "button"; button.textContent = `${name} ${number.toLocaleString("en")}`;
      button.style.setProperty("--of", colors.get(name)); button.setAttribute("aria-pressed", "false");
      button.onclick = () => {
        chosen = chosen === name ? null : name;
        for (const other of key.children) other.setAttribute("aria-pressed", String(other === button && chosen !== null));
        redraw();
      };
      key.append(button);
    }
  }
  key.hidden = !key.children.length;
  measure(); redraw();
}

// -- one photo ------------------------------------------------------------------------------------

function point(one, { announce = false, touch = false } = {}) {
  if (one === over && !touch) return;
  over = one;
  canvas.classList.toggle("over", one !== null);
  card.hidden = one === null;
  if (one) {
    show(one, touch);
    if (announce) said.textContent = [one.name, one.date, one.folder, ...one.labels].filter(Boolean).join(", ");
  }
  redraw();
}
function show(one, touch) {
  card.textContent = "";
  card.classList.toggle("touch", touch);
  const inside = document.createElement("a");
  inside.href = one.link.href; inside.target = "_blank"; inside.rel = "noopener"; inside.tabIndex = -1;
  const source = query("img", one.item);
  if (source) { const image = document.createElement("img"); image.alt = ""; image.src = source.getAttribute("src"); image.width = source.width; image.height = source.height; inside.append(image); }
  else inside.append(query(".missing", one.item).cloneNode(true));
  for (const what of [".name", ".line", ".folder"]) inside.append(query(what, one.item).cloneNode(true));
  card.append(inside);
  place();
}
function place() { // beside its photo, or at the foot of a small window
  const one = over, touch = card.classList.contains("touch"), [px, py] = toScreen(one), [w, h] = sidesOf(one, side()), box = card.getBoundingClientRect(), away = 14;
  const right = px + w / 2 + away, x = right + box.width < view.w ? right : px - w / 2 - away - box.width;
  const below = touch && view.w < 640;
  card.style.left = `${below ? (view.w - box.width) / 2 : Math.max(8, Math.min(view.w - box.width - 8, x))}px`;
  card.style.top = `${below ? view.h - box.height - 10 : Math.max(8, Math.min(view.h - box.height - 8, py - box.height / 2))}px`;
}
function at(px, py) {
  const longer = side();
  let best = null, least = Infinity;
  for (const one of photos) {
    const [x, y] = toScreen(one), seen = one.from <= view.zoom * 1.0001 && one.cell;
    const [w, h] = seen ? sidesOf(one, longer) : [14, 14];
    if (Math.abs(px - x) > w / 2 || Math.abs(py - y) > h / 2) continue;
    const away = seen ? 100 + Math.hypot(px - x, py - y) / 1e3 : Math.hypot(px - x, py - y); // a dot lies under a picture, and is meant if it is seen
    const covered = !seen && photos.some((other) => other.cell && other.from <= view.zoom * 1.0001 && other !== one && inside(other, x, y, longer));
    if (!covered && away < least) { best = one; least = away; }
  }
  return best;
}
function inside(one, px, py, longer) {
  const [x, y] = toScreen(one), [w, h] = sidesOf(one, longer);
  return Math.abs(px - x) <= w / 2 && Math.abs(py - y) <= h / 2;
}
function open(one) {
  const link = document.createElement("a");
  link.href = one.link.href; link.target = "_blank"; link.rel = "noopener";
  link.click();
}
// The nearest one in that direction, of those that are seen; straight ahead counts more than aside.
function next(dx, dy) {
  const from = over || { x: view.x, y: view.y };
  let best = null, least = Infinity;
  for (const one of photos) {
    if (one === over || one.from > view.zoom * 1.0001 || (isMarked() && !isLit(one))) continue;
    const x = one.x - from.x, y = one.y - from.y, ahead = x * dx + y * dy, aside = Math.abs(x * dy - y * dx);
    if (over && (ahead <= 1e-9 || aside > 2 * ahead)) continue;
    const cost = over ? ahead + 2 * aside : Math.hypot(x, y);
    if (cost < least) { best = one; least = cost; }
  }
  if (!best) return;
  const [px, py] = toScreen(best), edge = side();
  if (px < edge || py < edge || px > view.w - edge || py > view.h - edge) look(view.zoom, best.x, best.y);
  point(best, { announce: true });
}

// -- hands ----------------------------------------------------------------------------------------

const fingers = new Map();
let moved = 0, spread = 0;
const spot = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
canvas.addEventListener("pointerdown", (event) => {
  land();
  fingers.set(event.pointerId, spot(event));
  if (fingers.size === 1) moved = 0;
  spread = 0;
  try { canvas.setPointerCapture(event.pointerId); } catch (error) { if (error.name !== "NotFoundError") throw error; } // a pointer that is gone already
});
canvas.addEventListener("pointermove", (event) => {
  const [px, py] = spot(event), before = fingers.get(event.pointerId);
  if (!before) { if (event.pointerType !== "touch") point(at(px, py)); return; }
  fingers.set(event.pointerId, [px, py]);
  moved += Math.hypot(px - before[0], py - before[1]);
  if (moved < 5) return;
  canvas.classList.add("drag");
  if (over) point(null);
  if (fingers.size === 1) look(view.zoom, view.x - (px - before[0]) / scale(), view.y - (py - before[1]) / scale());
  else if (fingers.size === 2) {
    const [a, b] = [...fingers.values()], now = Math.hypot(a[0] - b[0], a[1] - b[1]);
    if (spread) zoomAt(now / spread, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
    spread = now;
  }
});
function lifted(event) {
  const was = fingers.delete(event.pointerId);
  spread = 0;
  canvas.classList.remove("drag");
  if (!was || fingers.size || moved >= 5 || event.type === "pointercancel" || event.button > 0) return;
  const one = at(...spot(event));
  if (event.pointerType === "touch") point(one, { touch: one !== null }); // the first tap shows, the card opens
  else if (one) open(one);
}
canvas.addEventListener("pointerup", lifted);
canvas.addEventListener("pointercancel", lifted);
canvas.addEventListener("pointerleave", (event) => { if (!fingers.size && event.pointerType !== "touch") point(null); });
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  land();
  const lines = event.deltaMode === 1 ? 30 : 1;
  zoomAt(Math.exp(-Math.max(-200, Math.min(200, event.deltaY * lines)) / (event.ctrlKey ? 120 : 360)), ...spot(event));
  point(at(...spot(event)));
}, { passive: false });

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
function closer(factor) {
  const to = over || view;
  fly((aim ?? view.zoom) * factor, to.x, to.y);
  if (over) { card.hidden = true; over = null; }
}
canvas.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (STEPS[event.key]) {
    const [dx, dy] = STEPS[event.key];
    if (event.shiftKey) look(view.zoom, view.x + dx * 120 / scale(), view.y + dy * 120 / scale()); else next(dx, dy);
  } else if (event.key === "+" || event.key === "=") closer(1.6);
  else if (event.key === "-") closer(1 / 1.6);
  else if (event.key === "0" || event.key === "Home") { point(null); all(); }
  else if (event.key === "Enter" && over) open(over);
  else if (event.key === "Escape") point(null);
  else return;
  event.preventDefault();
});
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target === search || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  search.focus(); search.select();
});
search.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const one of photos) { one.hit = words.every((word) => one.words.includes(word)); found += one.hit; one.item.hidden = !one.hit; }
  for (const section of document.querySelectorAll("section")) section.hidden = !query("li:not([hidden])", section);
  count.textContent = words.length ? `${found.toLocaleString("en")} found` : "";
  redraw();
});
search.addEventListener("keydown", (event) => {
  if (event.key === "Enter") { fit(photos.filter(isLit)); canvas.focus(); }
  if (event.key === "Escape") { search.value = ""; search.dispatchEvent(new Event("input")); canvas.focus(); }
});
colorBy.addEventListener("change", recolor);
query(".tools").addEventListener("click", (event) => {
  const what = event.target.dataset.do;
  if (what === "in") closer(1.6);
  if (what === "out") closer(1 / 1.6);
  if (what === "all") { point(null); all(); }
  if (what === "about") about(footer.hidden);
  if (what === "list") {
    listed = !listed;
    list.hidden = !listed; stage.hidden = listed; key.hidden = listed || !key.children.length;
    about(false);
    event.target.setAttribute("aria-pressed", String(listed));
    event.target.textContent = listed ? "Map" : "List";
    if (!listed) { measure(); redraw(); }
  }
});

function about(wanted) { // below the list it is always there, over the map when it is asked for
  footer.hidden = !wanted && !listed;
  footer.classList.toggle("over", !listed);
  query("[data-do=about]").setAttribute("aria-expanded", String(wanted));
}
addEventListener("keydown", (event) => { if (event.key === "Escape" && !listed) about(false); });

// -- begin ----------------------------------------------------------------------------------------

if (!photos.length) return;
colorBy.append(new Option("No colours", ""));
for (const kind of Object.keys(KINDS)) if (counted(kind).size > 1) colorBy.append(new Option(KINDS[kind].title, kind));
colorBy.value = "";
for (const one of [query(".tools"), stage]) one.hidden = false;
query(".still").style.display = "none";
list.hidden = true;
about(false);
inks(); recolor();
new ResizeObserver(() => { measure(); redraw(); }).observe(stage);
dark.addEventListener("change", () => { inks(); recolor(); });
for (const sheet of sheets) sheet.addEventListener("load", redraw);
})();
