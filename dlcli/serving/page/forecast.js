// Forecasts of the series of a table: a plot of each with what comes before, and all numbers as a table.

import { element, number } from "./elements.js";
import { shape } from "./drawing.js";

const MOST_PLOTS = 6; // series that are drawn
const [WIDTH, HEIGHT, EDGE] = [600, 180, 8];

// The rows of each series, in their order.
function bySeries(rows) {
  const found = new Map();
  for (const row of rows) found.set(row.series ?? "", [...(found.get(row.series ?? "") ?? []), row]);
  return found;
}

// The names of the outermost quantiles, such as q0.1 and q0.9; null without them.
function outer(row) {
  const names = Object.keys(row).filter((key) => /^q[\d.e-]+$/.test(key)).sort((a, b) => a.slice(1) - b.slice(1));
  return names.length > 1 ? [names[0], names.at(-1)] : null;
}

const share = (name) => `${Number((100 * name.slice(1)).toPrecision(4))}%`;

function plot(past, rows, between, label) {
  const ahead = rows.map((row) => row.predicted);
  const bands = between ? rows.flatMap((row) => between.map((name) => row[name])) : [];
  const known = [...past, ...ahead, ...bands].filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const count = past.length + ahead.length;
  const x = (i) => (((i + 0.5) * WIDTH) / count).toFixed(1);
  const y = (value) => (HEIGHT - EDGE - ((HEIGHT - 2 * EDGE) * (value - low)) / (high - low || 1)).toFixed(1);
  const drawn = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "steps" });
  drawn.setAttribute("role", "img");
  drawn.setAttribute("aria-label", label);
  if (between) {
    const side = (name) => rows.map((row, i) => `${x(past.length + i)},${y(row[name])}`);
    drawn.append(shape("polygon", { points: [...side(between[0]), ...side(between[1]).reverse()].join(" "), class: "interval" }));
  }
  const line = (values, start, name) => {
    let path = "";
    values.forEach((value, i) => {
      if (value !== null) path += `${i > 0 && values[i - 1] !== null ? "L" : "M"}${x(start + i)} ${y(value)}`;
    });
    drawn.append(shape("path", { d: path, class: name, "vector-effect": "non-scaling-stroke" }));
  };
  line(past, 0, "past");
  const last = past.at(-1) ?? null; // the forecast starts where the series ends
  line(last === null ? ahead : [last, ...ahead], last === null ? past.length : past.length - 1, "ahead");
  return { drawn, low, high };
}

function figure(name, rows, past) {
  const between = outer(rows[0]);
  const title = name ? `${name}: forecast` : "Forecast";
  const label = `${name ? `${name}: ` : ""}${number(past.length)} steps, then the forecast of ${number(rows.length)}`;
  const { drawn, low, high } = plot(past, rows, between, label);
  const made = element("figure", { class: "forecast" });
  const after = rows[0].after ? ` after ${rows[0].after}` : "";
  const interval = between ? ` The band is from the ${share(between[0])} to the ${share(between[1])} quantile.` : "";
  made.append(
    drawn,
    element("figcaption", {}, `${title} of ${number(rows.length)} steps${after}, from ${number(low)} (bottom) to ${number(high)} (top).${interval}`),
  );
  return made;
}

// All rows of the forecast, with a header.
function numbers(rows) {
  const columns = Object.keys(rows[0]).filter((name) => name !== "after" && rows.some((row) => row[name] !== ""));
  const made = element("table");
  const head = element("tr");
  const kind = (name) => (typeof rows[0][name] === "number" ? { class: "number" } : {});
  head.append(...columns.map((name) => element("th", { scope: "col", ...kind(name) }, name)));
  made.append(head);
  for (const row of rows) {
    const line = element("tr");
    line.append(...columns.map((name) => element("td", kind(name), typeof row[name] === "number" ? number(row[name]) : row[name])));
    made.append(line);
  }
  // which scrolls, by the keyboard too
  const scrolled = element("div", { class: "numbers", tabindex: "0", role: "region", "aria-label": "Numbers of the forecast" });
  scrolled.append(made);
  return scrolled;
}

// What a prediction says without the past, which is not known yet.
export function forecastParts({ forecast, left_out: leftOut }) {
  const details = element("details", { open: "" });
  details.append(element("summary", {}, "Numbers"), numbers(forecast));
  const missing = leftOut.map(({ series, reason }) => element("p", { class: "quiet" }, `${series}: ${reason}`));
  return [details, ...missing];
}

// A plot of each series, the first ones if there are many.
export function forecastFigures({ forecast }, history) {
  const past = new Map(history.map(({ series, values }) => [series, values]));
  const all = [...bySeries(forecast)];
  const figures = all.slice(0, MOST_PLOTS).map(([name, rows]) => figure(name, rows, past.get(name) ?? []));
  if (all.length > MOST_PLOTS) figures.push(element("p", { class: "quiet" }, `and ${all.length - MOST_PLOTS} more series`));
  return figures;
}
