// Images go to the server one after the other; what it says is shown. Names and words are put in as text, never as markup.
"use strict";
const KEPT = 24, AGAIN = 30, REGIONS = 20;
const by = (id) => document.getElementById(id);
const state = { run: null, token: "", about: null, results: [], shown: null, waiting: [], busy: false };

function positionOf(axis, value) {
  const place = axis.log ? Math.log(Math.max(value, axis.low) / axis.low) / Math.log(axis.high / axis.low) : (value - axis.low) / (axis.high - axis.low);
  return Math.min(1, Math.max(0, place));
}
function thresholdAt(axis, position) {
  return axis.log ? axis.low * Math.pow(axis.high / axis.low, position) : axis.low + position * (axis.high - axis.low);
}
function above(scores, threshold) {
  let low = 0, high = scores.length;
  while (low < high) { const middle = (low + high) >> 1; if (scores[middle] >= threshold) high = middle; else low = middle + 1; }
  return scores.length - low;
}
function percent(part, all) { return all ? (100 * part / all).toFixed(1) + " %" : "\u2013"; }
function short(value) { return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : "\u2013"; }
function made(name, text, kind) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  return element;
}
function drawn(name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}
function say(text, fault) { by("status").textContent = text; by("status").className = fault ? "fault" : "soft"; }

async function ask(path, options = {}) {
  const headers = { ...(options.headers || {}) };
  if (state.token) headers.authorization = "Bearer " + state.token;
  const response = await fetch(path, { ...options, headers });
  if (response.status === 401) { by("access").hidden = false; by("token").focus(); }
  return response;
}
async function said(response) {
  try { return await response.json(); } catch { return { error: { message: "the answer is no JSON (status " + response.status + ")" } }; }
}

async function start() {
  let answer;
  try { answer = await ask("v1/runs"); } catch { return say("The server does not answer.", true); }
  const json = await said(answer);
  if (!answer.ok) return say(json.error.message, answer.status !== 401 || state.token !== "");
  by("access").hidden = true;
  say("");
  const select = by("run");
  select.replaceChildren(...json.runs.map((run) => {
    const option = made("option", run.name + (run.category === run.name ? "" : " (" + run.category + ")"));
    option.value = run.name;
    return option;
  }));
  by("runs").hidden = false;
  await choose(json.runs[0].name);
  next();
}
async function choose(name) {
  let answer;
  try { answer = await ask("v1/runs/" + encodeURIComponent(name)); } catch { return say("The server does not answer.", true); }
  const json = await said(answer);
  if (!answer.ok) return say(json.error.message, true);
  state.run = name;
  state.about = json;
  const warnings = (json.decision && json.decision.warnings) || [];
  if (json.stale) warnings.unshift("the run was replaced on disk by one that cannot be served; the earlier one goes on");
  if (json.threshold === null) warnings.unshift("this run gives no verdicts");
  by("warnings").replaceChildren(...warnings.map((text) => made("p", "Mind: " + text, "warning")));
  by("promised").textContent = json.method + ", threshold " + (json.threshold === null ? "none" : short(json.threshold)) + (json.promised ? ": calls " + json.promised : "");
  draw();
}

const PLOT = { width: 460, left: 44, right: 14, top: 8, row: 74, head: 22 };
function draw() {
  const { about } = state, calibration = about.calibration;
  by("scores").hidden = !calibration;
  if (!calibration) return;
  const inner = PLOT.width - PLOT.left - PLOT.right, bottom = PLOT.top + 2 * PLOT.row;
  const at = (value) => PLOT.left + positionOf(calibration.axis, value) * inner;
  const marks = [["threshold", about.threshold, "threshold "], ["look", about.look_from, "to look at from "]].filter((mark) => mark[1] !== null);
  const keys = marks.length + 2;
  const svg = drawn("svg", { class: "plot", role: "img", viewBox: `0 0 ${PLOT.width} ${bottom + 50 + 20 * keys}`, "aria-label": "Scores of normal images and of simulated anomalies" });
  for (const tick of calibration.axis.ticks) {
    svg.append(drawn("path", { class: "grid", d: `M${at(tick)} ${PLOT.top}V${bottom}` }), drawn("text", { class: "mid", x: at(tick), y: bottom + 17 }, short(tick)));
  }
  [["normal", "normal images of the training"], ["simulated", "simulated anomalies"]].forEach(([kind, title], index) => {
    const set = calibration[kind], base = PLOT.top + PLOT.row * (index + 1), high = PLOT.row - PLOT.head - 4, most = Math.max(1, ...set.histogram), width = inner / set.histogram.length;
    set.histogram.forEach((count, bin) => {
      if (count) svg.append(drawn("rect", { class: kind, x: PLOT.left + bin * width + 0.4, width: width - 0.8, y: base - high * count / most, height: high * count / most }));
    });
    svg.append(drawn("path", { class: "axis", d: `M${PLOT.left} ${base}H${PLOT.width - PLOT.right}` }), drawn("text", { x: PLOT.left + 4, y: base - PLOT.row + 15 }, `${title} (${set.scores.length})`),
      drawn("text", { class: "end", x: PLOT.left - 6, y: base - high + 8 }, most), drawn("text", { class: "end", x: PLOT.left - 6, y: base }, 0));
  });
  svg.append(drawn("text", { class: "mid", x: (PLOT.left + PLOT.width - PLOT.right) / 2, y: bottom + 37 }, "verdict score" + (calibration.axis.log ? " (logarithmic)" : "")));
  // What may be hidden comes last, so that it leaves no gap.
  marks.push(["chosen", null, "slider "], ["image", null, "this image "]);
  // A line crosses the bars, not the words above them.
  const through = [1, 2].map((row) => `M0 ${PLOT.top + PLOT.row * (row - 1) + PLOT.head}V${PLOT.top + PLOT.row * row}`).join("");
  marks.forEach(([kind, value, label], index) => {
    const y = bottom + 58 + 20 * index, fixed = value !== null;
    svg.append(drawn("path", { class: "mark " + kind, id: "mark-" + kind, d: through, transform: `translate(${fixed ? at(value) : 0} 0)`, visibility: fixed ? "visible" : "hidden" }),
      drawn("path", { class: "mark " + kind, id: "key-" + kind, d: `M${PLOT.left} ${y - 4}h22`, visibility: fixed ? "visible" : "hidden" }),
      drawn("text", { id: "label-" + kind, "data-label": label, x: PLOT.left + 30, y }, fixed ? label + short(value) : ""));
  });
  by("plot").replaceChildren(svg);
  slide(about.threshold === null ? calibration.axis.high : about.threshold);
}
function mark(kind, value) {
  const { axis } = state.about.calibration, shown = Number.isFinite(value), inner = PLOT.width - PLOT.left - PLOT.right;
  const line = by("mark-" + kind), label = by("label-" + kind);
  if (shown) line.setAttribute("transform", `translate(${PLOT.left + positionOf(axis, value) * inner} 0)`);
  for (const part of [line, by("key-" + kind)]) part.setAttribute("visibility", shown ? "visible" : "hidden");
  label.textContent = shown ? label.dataset.label + short(value) : "";
}
function slide(threshold, typed) {
  const { calibration } = state.about;
  state.threshold = threshold;
  for (const kind of ["normal", "simulated"]) {
    const { scores } = calibration[kind], over = above(scores, threshold);
    by(kind + "-below").textContent = scores.length - over;
    by(kind + "-above").textContent = over;
    by(kind + "-share").textContent = percent(over, scores.length);
  }
  by("slider").value = positionOf(calibration.axis, threshold) * by("slider").max;
  if (!typed) by("threshold").value = short(threshold);
  mark("chosen", threshold);
  const one = state.shown && state.shown.run === state.run ? state.shown.said : null;
  mark("image", one ? one.score : NaN);
  by("at-slider").textContent = one ? one.image + " is " + (one.score >= threshold ? "at or above" : "below") + " the slider's threshold" : "";
}

function take(files) {
  for (const file of files) state.waiting.push(file);
  next();
}
async function next() {
  if (state.busy || !state.run || !state.waiting.length) return;
  state.busy = true;
  let done = 0;
  while (state.waiting.length) {
    const file = state.waiting.shift();
    done += 1;
    say(`${file.name}: ${state.waiting.length} more wait`);
    add(await scored(file));
  }
  state.busy = false;
  const faults = state.results.slice(0, done).filter((result) => result.fault).length;
  say(faults ? `${done === 1 ? "The image has no score" : `${faults} of ${done} images without a score`}: see below` : `${done} ${done === 1 ? "image" : "images"} scored`, faults > 0);
}
async function scored(file) {
  const { run } = state, path = `v1/runs/${encodeURIComponent(run)}/score?overlay=png&name=${encodeURIComponent(file.name)}`;
  for (let turn = 0; ; turn += 1) {
    let response;
    try { response = await ask(path, { method: "POST", body: file }); } catch { return { run, name: file.name, fault: "the server does not answer, or the file cannot be read" }; }
    if (response.status === 503 && turn < AGAIN) {
      await new Promise((resolve) => setTimeout(resolve, 1000 * (Number(response.headers.get("retry-after")) || 1)));
      continue;
    }
    const json = await said(response);
    if (!response.ok) return { run, name: file.name, fault: json.error.message };
    const one = json.images[0], bytes = Uint8Array.from(atob(one.overlay_png), (letter) => letter.charCodeAt(0));
    delete one.overlay_png;
    return { run, name: one.image, said: one, over: URL.createObjectURL(new Blob([bytes], { type: "image/png" })), plain: URL.createObjectURL(file) };
  }
}
function add(result) {
  state.results.unshift(result);
  for (const old of state.results.splice(KEPT)) for (const url of [old.over, old.plain]) if (url) URL.revokeObjectURL(url);
  if (result.said) show(result); else list();
}
function list() {
  by("last").hidden = state.results.length === 0;
  by("results").replaceChildren(...state.results.map((result) => {
    const item = made("li"), button = made("button"), words = made("div");
    button.type = "button";
    button.title = result.name;
    words.append(made("b", result.name, "called"));
    if (result.said) {
      const image = made("img");
      image.src = result.over;
      image.alt = "";
      button.append(image);
      words.append(made("span", result.said.verdict || "no verdict", "verdict " + (result.said.verdict || "")), " " + short(result.said.score));
      const doubts = result.said.warnings, more = doubts.length > 1 ? `; ${doubts.length - 1} more` : "";
      if (doubts.length) words.append(made("span", "mind: " + doubts[0] + more, "doubt"));
      button.addEventListener("click", () => { show(result); by("result").scrollIntoView({ block: "nearest" }); });
      button.setAttribute("aria-current", result === state.shown);
    } else {
      words.append(made("span", result.fault, "fault"));
      button.disabled = true;
    }
    if (by("run").options.length > 1) words.append(made("span", result.run, "soft called"));
    button.append(words);
    item.append(button);
    return item;
  }));
}
function picture() {
  const { shown } = state, image = by("picture");
  image.onerror = () => { if (image.src !== shown.over) image.src = shown.over; };
  image.src = by("over").checked ? shown.over : shown.plain;
  image.alt = by("over").checked ? "the image with what was found" : "the image";
}
function show(result) {
  state.shown = result;
  const one = result.said;
  by("result").hidden = false;
  by("name").textContent = result.name;
  by("verdict").textContent = one.verdict || "no verdict";
  by("verdict").className = "verdict " + (one.verdict || "");
  by("score").textContent = short(one.score);
  by("against").textContent = one.threshold === undefined ? "" : "threshold " + short(one.threshold) + (one.look_from === undefined ? "" : ", to look at from " + short(one.look_from));
  by("size").textContent = `${one.width} \u00d7 ${one.height}, ${short(1000 * one.seconds)} ms`;
  by("doubts").replaceChildren(...one.warnings.map((text) => made("p", text, "warning")));
  const found = one.regions_found;
  by("found").textContent = found === undefined ? "" : found === 0 ? "No region reaches the pixel threshold." : `${found} ${found === 1 ? "region reaches" : "regions reach"} the pixel threshold ${short(one.pixel_threshold)}${found > REGIONS ? `; the first ${REGIONS}:` : ":"}`;
  by("regions").hidden = !one.regions.length;
  by("regions").tBodies[0].replaceChildren(...one.regions.slice(0, REGIONS).map((region, index) => {
    const row = made("tr"), [left, top, width, height] = region.box;
    row.append(made("td", index + 1));
    for (const text of [`${left}, ${top}`, `${width} \u00d7 ${height}`, region.area, short(region.peak), short(region.mean)]) row.append(made("td", text, "number"));
    return row;
  }));
  picture();
  list();
  if (state.about && state.about.calibration) slide(state.threshold, true);
}

by("run").addEventListener("change", () => choose(by("run").value));
by("access").addEventListener("submit", (event) => { event.preventDefault(); state.token = by("token").value.trim(); start(); });
by("over").addEventListener("change", picture);
by("file").addEventListener("change", () => { take(by("file").files); by("file").value = ""; });
by("slider").addEventListener("input", () => slide(thresholdAt(state.about.calibration.axis, by("slider").value / by("slider").max)));
by("threshold").addEventListener("input", () => { const value = parseFloat(by("threshold").value); if (Number.isFinite(value)) slide(value, true); });
by("reset").addEventListener("click", () => slide(state.about.threshold === null ? state.about.calibration.axis.high : state.about.threshold));
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    by("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop" && event.dataTransfer) take(event.dataTransfer.files);
  });
}
start();
