// The page: which model, what is given to it, and the list of predictions.

import { element, number, table } from "./elements.js";
import { explainedFigure } from "./explained.js";
import { forecastFigures } from "./forecast.js";
import { listModels, predictImage, predictValue, setToken, showImage, showValue, TokenNeeded } from "./requests.js";
import { addOverlays, card, fail, fill, imageFigure, parts, summary } from "./results.js";
import { parseSeries } from "./series.js";

const byId = (id) => document.getElementById(id);
const AT_ONCE = 4; // images that are sent at the same time
const KEPT = 60; // predictions that stay on the page
const MOST_CLASSES = 200; // that are named in the card

const NOUNS = { image_regression: "number", multilabel: "label", tagging: "tag", text_multilabel: "label" }; // else classes

let models = [];
let chosen = null;
let stream = null;

const say = (text) => { byId("status").textContent = text; };

async function start() {
  try {
    models = await listModels();
  } catch (error) {
    if (!(error instanceof TokenNeeded)) return say(error.message);
    const isFirst = byId("token-form").hidden;
    byId("token-form").hidden = false;
    byId("token").focus();
    return say(isFirst ? "" : error.message);
  }
  byId("token-form").hidden = true;
  byId("main").hidden = false;
  say("");
  byId("model").replaceChildren(...models.map((model) => element("option", { value: model.name }, model.name)));
  byId("choice").hidden = models.length < 2;
  choose(models[0]);
}

function choose(model) {
  chosen = model;
  document.title = `Try ${model.name}`;
  document.querySelector("h1").textContent = `Try ${model.name}`;
  const isImage = model.kind === "images";
  byId("image-input").hidden = !isImage;
  byId("text-input").hidden = model.kind !== "texts";
  byId("class-choice").hidden = !model.takes_class;
  byId("class").replaceChildren(
    ...(model.takes_class ? model.classes : []).map((name) => element("option", { value: name }, name)),
  );
  byId("text").required = !model.takes_class; // which says enough to start a text
  byId("table-input").hidden = model.kind !== "tables";
  byId("needs").textContent = model.needs ? `The table needs ${model.needs}.` : "";
  byId("series-input").hidden = isImage || ["texts", "tables"].includes(model.kind);
  byId("series-label").textContent = model.kind === "series"
    ? "Series: a line for each step, its features separated by commas; nothing between commas is missing"
    : "Nested lists of numbers, as JSON";
  byId("camera").hidden = !(isImage && navigator.mediaDevices?.getUserMedia);
  if (!isImage) stopCamera();
  showCard(model);
}

function showCard({ kind, classes, card: facts }) {
  const samples = Object.entries(facts.samples ?? {}).map(([split, count]) => `${number(count)} ${split}`).join(", ");
  const rows = [
    ["Task", facts.task?.replaceAll("_", " ")],
    ["Network", facts.model?.replaceAll("_", " ")],
    ["Takes", `${kind}${facts.shape?.length ? `, ${facts.shape.join("×")}` : ""}`],
    ["Data", samples],
    ["Result", facts.headline ? `${facts.headline[0]}: ${number(facts.headline[1])}` : "not evaluated"],
    ["Trained", facts.started?.slice(0, 10)],
  ];
  const list = byId("card");
  list.replaceChildren();
  for (const [name, value] of rows) if (value) list.append(element("dt", {}, name), element("dd", {}, value));
  byId("classes-part").hidden = classes.length === 0;
  const noun = NOUNS[facts.task] ?? "class";
  const ending = classes.length === 1 ? "" : noun.endsWith("s") ? "es" : "s";
  byId("classes-title").textContent = `${number(classes.length)} ${noun}${ending}`;
  const more = classes.length > MOST_CLASSES ? ", …" : "";
  byId("classes").textContent = classes.slice(0, MOST_CLASSES).join(", ") + more;
  const metrics = Object.entries(facts.metrics ?? {}).sort(([a], [b]) => a.localeCompare(b));
  byId("metrics-part").hidden = metrics.length === 0;
  byId("metrics").replaceChildren(...table(metrics.map(([name, value]) => [name, number(value)])).children);
}

// Predictions ---------------------------------------------------------------------------------------------------------

// New cards come first, those of one choice in its order.
function addCards(titles) {
  const made = titles.map(card);
  byId("results-part").hidden = false;
  byId("results").prepend(...made);
  while (byId("results").children.length > KEPT) forget(byId("results").lastChild);
  return made;
}

function forget(made) {
  if (made.source) URL.revokeObjectURL(made.source);
  made.remove();
}

async function tryImages(blobs) {
  if (blobs.length === 0) return;
  const model = chosen;
  const cards = addCards(blobs.map((blob) => blob.name || "image"));
  const waiting = blobs.map((blob, i) => ({ blob, made: cards[i] }));
  const total = waiting.length;
  const said = [];
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      said.push(await tryImage(model, next.blob, next.made));
      say(total === 1 ? said[0] : `${said.length} of ${total} predicted. ${said.at(-1)}`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, total) }, work));
}

async function tryImage(model, blob, made) {
  const name = blob.name || "image";
  try {
    const { row, milliseconds } = await predictImage(model.name, blob);
    made.source = URL.createObjectURL(blob);
    const { figure, stack } = imageFigure(made.source, name, row, model.classes);
    fill(made, [figure, ...parts(row, model.classes)], { name: model.name, milliseconds });
    if (model.shows) await addShown(model, blob, made, row, figure, stack);
    return `${name}: ${summary(row)}`;
  } catch (error) {
    fail(made, error);
    return `${name}: ${error.message}`;
  }
}

async function addShown(model, blob, made, row, figure, stack) {
  let overlays;
  try {
    overlays = await showImage(model.name, blob);
  } catch {
    return; // the prediction stands without it
  }
  if (row.objects?.length === 0) return; // what would be shown is below the score from which objects count
  const explained = addOverlays(figure, stack, overlays);
  if (overlays.colors && row.areas) {
    made.querySelector(".bars").replaceWith(...parts(row, model.classes, overlays.colors));
  }
  if (explained) made.querySelector(".latency").before(explained);
}

async function tryFiles(files) {
  if (chosen.kind === "images") return tryImages(files);
  for (const file of files) await tryValue(file.name, await file.text());
}

async function tryValue(title, value) {
  const model = chosen;
  const [made] = addCards([title]);
  made.classList.add("wide");
  try {
    const { row, milliseconds } = await predictValue(model.name, value);
    fill(made, parts(row, model.classes), { name: model.name, milliseconds });
    say(`${title}: ${summary(row)}`);
    if (model.shows) await addExplained(model, value, made, row);
  } catch (error) {
    fail(made, error);
    say(error.message);
  }
}

async function addExplained(model, value, made, row) {
  let shown;
  try {
    shown = await showValue(model.name, value);
  } catch {
    return; // the prediction stands without it
  }
  if (shown.history) return made.querySelector("h3").after(...forecastFigures(row, shown.history));
  made.querySelector(".latency").before(explainedFigure(shown));
}

// The camera ----------------------------------------------------------------------------------------------------------

async function startCamera() {
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch {
    return say("The camera cannot be used: the browser did not allow it, or there is none.");
  }
  byId("video").srcObject = stream;
  await byId("video").play();
  byId("viewfinder").hidden = false;
  byId("camera").hidden = true;
  byId("take").focus();
}

function stopCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  byId("viewfinder").hidden = true;
  byId("camera").hidden = !(chosen?.kind === "images" && navigator.mediaDevices?.getUserMedia);
}

function takePhoto() {
  const video = byId("video");
  const canvas = element("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => tryImages([new File([blob], "photo.jpg", { type: "image/jpeg" })]), "image/jpeg", 0.92);
}

// Input ---------------------------------------------------------------------------------------------------------------

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  setToken(byId("token").value);
  start();
});
byId("model").addEventListener("change", (event) => choose(models[event.target.selectedIndex]));
for (const id of ["files", "table-file"]) {
  byId(id).addEventListener("change", (event) => {
    tryFiles([...event.target.files]);
    event.target.value = "";
  });
}
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    if (byId("image-input").hidden && byId("table-input").hidden) return;
    event.preventDefault();
    byId("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") tryFiles([...event.dataTransfer.files]);
  });
}
document.addEventListener("paste", (event) => {
  const files = [...event.clipboardData.files];
  if (!byId("image-input").hidden && files.length > 0) tryImages(files);
});
for (const id of ["text", "series", "table"]) {
  byId(id).addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.target.form.requestSubmit();
  });
}
byId("text-input").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = byId("text").value;
  const title = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  if (!chosen.takes_class) return tryValue(title, text);
  const name = byId("class").value;
  tryValue(title ? `${name}: ${title}` : name, { text, class: name });
});
byId("table-input").addEventListener("submit", (event) => {
  event.preventDefault();
  tryValue("Table", byId("table").value);
});
byId("series-input").addEventListener("submit", (event) => {
  event.preventDefault();
  try {
    const steps = parseSeries(byId("series").value);
    tryValue(`${number(steps.length)} steps`, steps);
  } catch (error) {
    fail(addCards(["Series"])[0], error);
    say(error.message);
  }
});
byId("camera").addEventListener("click", startCamera);
byId("take").addEventListener("click", takePhoto);
byId("stop").addEventListener("click", stopCamera);
byId("clear").addEventListener("click", () => {
  [...byId("results").children].forEach(forget);
  byId("results-part").hidden = true;
  say("");
});

start();
