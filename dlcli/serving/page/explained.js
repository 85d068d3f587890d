// What in a text or a series speaks for its prediction, in colors and in words.

import { shape } from "./drawing.js";
import { element } from "./elements.js";

const MOST_NAMED = 3; // tokens or steps that the caption names
const MOST_LINES = 6; // columns of a series that are drawn
const [WIDTH, HEIGHT] = [600, 180];
const LINES = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

const signed = (value) => `${value > 0 ? "+" : "−"}${Number(Math.abs(value).toPrecision(3))}`;

// Red or blue by the sign, stronger for a larger share of the largest value.
function paint(made, value, largest) {
  made.style.setProperty("--share", `${Math.round((100 * Math.abs(value)) / (largest || 1))}%`);
  made.classList.add(value < 0 ? "against" : "for");
}

// A caption that says in words what the colors show, for readers who do not see them.
function caption(shown, entries, noun) {
  const ranked = entries.filter((entry) => entry.value).sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  const named = ranked.slice(0, MOST_NAMED).map((entry) => `${entry.name} ${signed(entry.value)}`).join(", ");
  const strongest = named ? ` Strongest ${noun}: ${named} (${shown.unit}).` : "";
  return element("figcaption", {}, `Red speaks for ${shown.explained}, blue against it.${strongest}`);
}

function tokens(shown) {
  const values = shown.tokens.map((entry) => entry.value ?? 0);
  const largest = Math.max(...values.map(Math.abs));
  const text = element("p", { class: "tokens" });
  shown.tokens.forEach(({ token }, i) => {
    const mark = element("span", { class: "token", title: signed(values[i]) }, token);
    paint(mark, values[i], largest);
    text.append(mark, shown.separator);
  });
  const figure = element("figure", { class: "explained" });
  const entries = shown.tokens.map(({ token }, i) => ({ name: `“${token}”`, value: values[i] }));
  figure.append(text, caption(shown, entries, shown.separator ? "words" : "characters"));
  return figure;
}

// A line for a column, from its lowest to its highest value; missing values interrupt it.
function line(column, color) {
  const known = column.filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const y = (value) => HEIGHT - 8 - ((HEIGHT - 16) * (value - low)) / (high - low || 1);
  const x = (i) => ((i + 0.5) * WIDTH) / column.length;
  let path = "";
  column.forEach((value, i) => {
    if (value !== null) path += `${i > 0 && column[i - 1] !== null ? "L" : "M"}${x(i).toFixed(1)} ${y(value).toFixed(1)}`;
  });
  return shape("path", { d: path, fill: "none", stroke: color, "stroke-width": 2, "vector-effect": "non-scaling-stroke" });
}

function steps(shown) {
  const sums = shown.values.map((row) => row.reduce((sum, value) => sum + (value ?? 0), 0));
  const largest = Math.max(...sums.map(Math.abs));
  const plot = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "steps" });
  plot.setAttribute("role", "img");
  plot.setAttribute("aria-label", `${shown.series.length} steps, colored by what they say`);
  const width = WIDTH / sums.length;
  sums.forEach((value, i) => {
    const band = shape("rect", { x: i * width, y: 0, width, height: HEIGHT, class: "band" });
    paint(band, value, largest);
    plot.append(band);
  });
  const drawn = shown.columns.slice(0, MOST_LINES);
  drawn.forEach((_, i) => plot.append(line(shown.series.map((row) => row[i]), LINES[i])));
  const figure = element("figure", { class: "explained" });
  figure.append(plot);
  if (drawn.length > 1) {
    const names = element("p", { class: "quiet" });
    drawn.forEach((name, i) => {
      const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.background = LINES[i];
      names.append(swatch, `${name} `);
    });
    if (drawn.length < shown.columns.length) names.append(`and ${shown.columns.length - drawn.length} more`);
    figure.append(names);
  }
  figure.append(caption(shown, sums.map((value, i) => ({ name: `step ${i + 1}`, value })), "steps"));
  return figure;
}

export const explainedFigure = (shown) => (shown.tokens ? tokens(shown) : steps(shown));
