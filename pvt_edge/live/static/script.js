// Asks for the numbers once a second and draws them. Text from the server goes in as text, never as HTML.
"use strict";

const POLL_MS = 1000, KEPT_S = 300, RETRY_MS = 2000;
const SPANS = [[60, "1 min", "30 s"], [120, "2 min", "1 min"], [KEPT_S, "5 min", "2.5 min"]];
const SVG = "http://www.w3.org/2000/svg";
const CHART = { width: 360, height: 110, left: 34, right: 6, top: 8, bottom: 18 };
const CHARTS = {
  fps: [["fps", "fps", "var(--first)"]],
  age: [["age_p50_ms", "p50", "var(--first)"], ["age_p95_ms", "p95", "var(--second)"]],
  inference: [["inference_p50_ms", "p50", "var(--first)"]],
};
const byId = (id) => document.getElementById(id);
let chosen = 0;         // the stream that is shown
let samples = [];       // its last minutes
let aspect = "";
let watching = null;    // ends the video of the stream before

function element(name, text = "", attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function drawn(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

async function ask(path) {
  const reply = await fetch(path, { cache: "no-store" });
  if (reply.status === 401) location.assign("/login");
  if (!reply.ok) throw new Error(`${path}: ${reply.status}`);
  return reply.json();
}

async function choose(id) {
  chosen = id;
  watch();
  const past = await ask(`/api/history/${id}`).catch(() => []);
  if (chosen !== id) return;  // another was chosen meanwhile
  const ahead = past.length ? Date.now() / 1000 - past.at(-1).at : 0;  // of this clock before the server's
  samples = past.map((sample) => ({ ...sample, at: sample.at + ahead }));
  await refresh();
}

// Asks for each picture when the one before has come: a slow viewer sees fewer and never old ones.
async function watch() {
  watching?.abort();
  const mine = (watching = new AbortController());
  let number = 0;
  while (!mine.signal.aborted) {
    try {
      const reply = await fetch(`/snapshot/${chosen}.jpg?after=${number}`, { signal: mine.signal, cache: "no-store" });
      if (reply.status === 204) continue;
      if (!reply.ok) throw new Error(reply.status);
      number = Number(reply.headers.get("X-Number"));
      const before = byId("picture").src, picture = await reply.blob();
      if (mine.signal.aborted) return;
      byId("picture").src = URL.createObjectURL(picture);
      URL.revokeObjectURL(before);
    } catch {
      await new Promise((done) => setTimeout(done, RETRY_MS));
    }
  }
}

async function refresh() {
  let all;
  try {
    all = await ask("/api/status");
  } catch {
    tellHealth("no answer", "down");
    stale("The server does not answer.");
    return;
  }
  tellHealth(all.health, all.health);
  byId("viewers").textContent = all.viewers === 1 ? "1 viewer" : `${all.viewers} viewers`;
  listStreams(all.streams);
  const stream = all.streams.find((one) => one.id === chosen);
  if (!stream) return;
  samples.push({ ...stream, at: Date.now() / 1000 });
  while (samples.length > KEPT_S) samples.shift();
  show(stream);
}

function tellHealth(text, kind) {
  const place = byId("health");
  place.textContent = text;
  place.className = `health ${kind}`;
}

function listStreams(streams) {
  const list = byId("streams");
  list.hidden = streams.length < 2;
  if (list.hidden) return;
  list.replaceChildren(...streams.map((stream) => {
    const rate = stream.fps === null ? stream.state : `${stream.fps.toFixed(1)} fps`;
    const button = element("button", `${stream.id} ${stream.source} · ${rate}`, {
      type: "button", class: stream.state, title: stream.source, "aria-current": String(stream.id === chosen),
    });
    button.addEventListener("click", () => choose(stream.id));
    return button;
  }));
}

function show(stream) {
  if (stream.width && `${stream.width} / ${stream.height}` !== aspect) {
    aspect = `${stream.width} / ${stream.height}`;
    byId("screen").style.aspectRatio = aspect;
  }
  const size = stream.width ? `, ${stream.width}×${stream.height}` : "";
  byId("source").textContent = `${stream.source}${size}`;
  const notices = {
    opening: "Opening the source.",
    lost: `Lost: ${stream.reason}. Trying again.`,
    failed: `Failed: ${stream.reason}`,
    ended: "Read to its end.",
  };
  stale(notices[stream.state] ?? "");
  const ms = (value) => (value === null ? "–" : value.toFixed(value < 10 ? 1 : 0));
  tile("FPS", stream.fps === null ? "–" : stream.fps.toFixed(1));
  tile("Age p95", ms(stream.age_p95_ms), "ms");
  tile("Inference", ms(stream.inference_p50_ms), "ms");
  tile("Frames", stream.frames.toLocaleString("en"));
  tile("Dropped", stream.dropped.toLocaleString("en"));
  tile("Reconnects", stream.reconnects.toLocaleString("en"));
  for (const [id, lines] of Object.entries(CHARTS)) chart(byId(id), lines);
  count(byId("objects"), Object.entries(stream.objects ?? {}));
  byId("counters").replaceChildren(...Object.entries(stream.counts ?? {}).flatMap(([name, counts]) => {
    const table = element("table");
    count(table, Object.entries(counts), false);
    return [element("h2", name), table];
  }));
}

function stale(text) {
  byId("screen").classList.toggle("stale", text !== "");
  byId("notice").hidden = text === "";
  byId("notice").textContent = text;
}

function tile(name, value, unit = "") {
  const id = `tile-${name.replace(" ", "-")}`;
  let place = byId(id);
  if (!place) {
    const box = element("div");
    place = element("dd", "", { id });
    box.append(element("dt", name), place);
    byId("tiles").append(box);
  }
  place.replaceChildren(value, ...(unit && value !== "–" ? [element("small", ` ${unit}`)] : []));
}

function count(table, entries, bars = true) {
  const rows = entries.sort(([a], [b]) => a.localeCompare(b)).map(([name, number]) => {
    const row = element("tr");
    row.append(element("th", name, { scope: "row" }), element("td", String(number), { class: "number" }));
    if (bars) {
      const cell = element("td", "", { class: "bar" }), bar = element("i");
      bar.style.width = `${(100 * number) / Math.max(...entries.map((entry) => entry[1]))}%`;
      cell.append(bar);
      row.append(cell);
    }
    return row;
  });
  if (!rows.length) {
    const row = element("tr");
    row.append(element("td", "Nothing found.", { class: "quiet" }));
    rows.push(row);
  }
  table.replaceChildren(...rows);
}

// A round number at or above the value: 1, 2 or 5 times a power of ten.
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-3)));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= value * 1.02) ?? 10 * power;
}

function chart(place, lines) {
  const { width, height, left, right, top, bottom } = CHART;
  const now = Date.now() / 1000;
  const oldest = now - (samples[0]?.at ?? now);
  const [span, whole, half] = SPANS.find(([seconds]) => oldest <= seconds) ?? SPANS.at(-1);
  const values = samples.flatMap((sample) => lines.map(([key]) => sample[key] ?? 0));
  const most = ceiling(Math.max(...values, 1));
  const x = (at) => left + (1 - Math.min(1, (now - at) / span)) * (width - left - right);
  const y = (value) => top + (1 - value / most) * (height - top - bottom);
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  for (const value of [0, most / 2, most]) {
    svg.append(drawn("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }));
    const label = drawn("text", { x: left - 5, y: y(value) + 4, "text-anchor": "end" });
    label.textContent = String(Number(value.toPrecision(3)));
    svg.append(label);
  }
  for (const [ago, text, anchor] of [[span, `−${whole}`, "start"], [span / 2, `−${half}`, "middle"], [0, "now", "end"]]) {
    const label = drawn("text", { x: x(now - ago), y: height - 3, "text-anchor": anchor });
    label.textContent = text;
    svg.append(label);
  }
  for (const [key, , colour] of lines) {
    let path = "", last = null;
    for (const sample of samples) {
      const value = sample[key];
      if (value === null || value === undefined || now - sample.at > span) { last = null; continue; }
      // a gap stays a gap: nothing was measured there
      path += `${last !== null && sample.at - last < 5 ? "L" : "M"}${x(sample.at).toFixed(1)} ${y(value).toFixed(1)}`;
      last = sample.at;
    }
    const line = drawn("path", { d: path });
    line.style.stroke = colour;
    svg.append(line);
  }
  const caption = place.querySelector("figcaption");
  if (lines.length > 1 && !caption.children.length) {
    for (const [, name, colour] of lines) {
      const key = element("span", name);
      key.style.setProperty("--key", colour);
      caption.append(key);
    }
  }
  const latest = samples.at(-1) ?? {};
  const told = lines.map(([key, name]) => `${name} ${latest[key]?.toFixed(1) ?? "unknown"}`).join(", ");
  svg.setAttribute("aria-label", `${caption.firstChild.textContent}: now ${told}`);
  place.querySelector("svg")?.remove();
  place.append(svg);
}

choose(0);
setInterval(() => { if (!document.hidden) refresh(); }, POLL_MS);
document.addEventListener("visibilitychange", () => {  // a tab that nobody sees costs the camera nothing
  if (document.hidden) watching?.abort();
  else choose(chosen);
});
