// Shows the prediction for one sample, by the entries that its row has.

import { colorOf, drawBoxes, overlay, photo } from "./drawing.js";
import { forecastParts } from "./forecast.js";
import { bars, element, number, percent, table } from "./elements.js";

const EMPTY = "(an empty text)";
const areNumbers = (row) => row.predicted !== null && typeof row.predicted === "object" && !Array.isArray(row.predicted);

// The sentence that a screen reader says of a prediction.
export function summary(row) {
  if (row.objects) return `${row.objects.length} object${row.objects.length === 1 ? "" : "s"}`;
  if (row.labels) return row.labels.filter((entry) => entry.predicted).map((entry) => entry.label).join(", ") || "no label";
  if (row.areas) return Object.entries(row.areas).map(([name, area]) => `${name} ${percent(area.share)}`).join(", ");
  if (row.added !== undefined) return row.text;
  if (row.forecast) return `a forecast of ${number(row.forecast.length)} steps, the first ${number(row.forecast[0].predicted)}`;
  if (row.words) return `${row.words.length} words tagged`;
  if (typeof row.predicted === "number") return number(row.predicted);
  if (typeof row.predicted === "string") return row.predicted || EMPTY;
  if (areNumbers(row)) return Object.entries(row.predicted).map(([name, value]) => `${name} ${number(value)}`).join(", ");
  return "done";
}

// The parts of a prediction but for what is drawn into an image.
export function parts(row, classes, colors = {}) {
  const shown = [];
  if (typeof row.predicted === "number") shown.push(element("p", { class: "verdict" }, number(row.predicted)));
  if (row.predicted === "") shown.push(element("p", { class: "quiet" }, EMPTY));
  else if (typeof row.predicted === "string") shown.push(element("p", { class: "verdict" }, row.predicted));
  if (areNumbers(row)) {
    shown.push(table(Object.entries(row.predicted).map(([name, value]) => [name, number(value)])));
  }
  if (row.top) {
    const listed = row.top.map((entry) => ({ name: entry.class, share: entry.probability }));
    shown.push(bars(listed.map((entry, i) => ({ ...entry, isOn: i === 0 }))));
  }
  if (row.labels) {
    shown.push(bars(row.labels.map((entry) => ({ name: entry.label, share: entry.probability, isOn: entry.predicted }))));
  }
  if (row.objects) shown.push(objectList(row.objects, classes));
  if (row.areas) {
    const largest = Object.entries(row.areas).sort((a, b) => b[1].share - a[1].share);
    shown.push(bars(largest.map(([name, area]) => ({ name, share: area.share, color: colors[name] }))));
  }
  if (row.added !== undefined) shown.push(continued(row));
  if (row.forecast) shown.push(...forecastParts(row));
  if (row.words) shown.push(tagged(row.words, row.tags, classes));
  if (shown.length === 0) shown.push(element("pre", {}, JSON.stringify(row, null, 1)));
  return shown;
}

function objectList(objects, classes) {
  if (objects.length === 0) return element("p", {}, "No objects were found.");
  return bars(objects.map((found) => (
    { name: found.class, share: found.score, text: found.score.toFixed(2), color: colorOf(classes.indexOf(found.class)) }
  )));
}

// A text with what a model has added to it.
function continued(row) {
  const text = element("p", { class: "continued" }, row.text.slice(0, row.text.length - row.added.length));
  text.append(element("mark", {}, row.added));
  return text;
}

function tagged(words, tags, classes) {
  const text = element("p", { class: "tagged" });
  words.forEach((word, i) => {
    const mark = element("span", { class: "word" }, word);
    mark.style.setProperty("--hue", Math.round((360 * classes.indexOf(tags[i])) / Math.max(classes.length, 1)));
    mark.append(element("small", {}, tags[i]));
    text.append(mark, " ");
  });
  return text;
}

// The boxes of a prediction, for an image.
export function boxesOf(row, classes) {
  if (row.box) return [{ box: row.box, color: colorOf(0), caption: String(row.predicted ?? "") }];
  return (row.objects ?? []).map((found) => (
    { box: found.box, color: colorOf(classes.indexOf(found.class)), caption: `${found.class} ${found.score.toFixed(2)}` }
  ));
}

// A card with the name of a sample, which `fill` completes.
export function card(title) {
  const made = element("article", { "aria-busy": "true" });
  made.append(element("h3", {}, title), element("p", { class: "quiet" }, "Predicting …"));
  return made;
}

// `by` is what predicted: the name of the model and the milliseconds that it took.
export function fill(made, children, by) {
  made.replaceChildren(made.querySelector("h3"), ...children);
  if (by) {
    const time = `${by.milliseconds.toFixed(0)} ms from request to response`;
    made.append(element("p", { class: "quiet latency" }, `${by.name}: ${time}`));
  }
  made.removeAttribute("aria-busy");
}

export function fail(made, error) {
  fill(made, [element("p", { class: "error", role: "alert" }, error.message)]);
}

// An image with its boxes.
export function imageFigure(source, name, row, classes) {
  const figure = element("figure");
  const stack = photo(source, name);
  figure.append(stack);
  drawBoxes(stack, boxesOf(row, classes));
  return { figure, stack };
}

// The mask over the image, and what speaks for the prediction in a figure of its own.
export function addOverlays(figure, stack, overlays) {
  if (overlays.mask) figure.append(overlay(stack, overlays.mask, "mask", "Mask"));
  if (!overlays.map) return null;
  const explained = element("figure");
  const view = photo(overlays.view, "The image as the network sees it");
  const box = overlay(view, overlays.map, "map", "Grad-CAM");
  const caption = `As the network sees it. Red speaks for ${overlays.explained}, blue against it.`;
  explained.append(view, box, element("figcaption", {}, caption));
  return explained;
}
