// Elements of the page. Text from the server is always set as text, never as HTML.

export function element(name, attributes = {}, text = null) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  return made;
}

export const percent = (share) => `${(100 * share).toFixed(1)}%`;

export function number(value) {
  if (Number.isInteger(value)) return value.toLocaleString("en-US");
  return Math.abs(value) >= 0.001 && Math.abs(value) < 1e6 ? value.toFixed(4) : value.toExponential(3);
}

// Bars with a name, a share in [0, 1] and its text; `isOn` marks what is predicted.
export function bars(rows) {
  const list = element("ul", { class: "bars" });
  for (const { name, share, text, isOn, color } of rows) {
    const item = element("li", isOn ? { class: "on" } : {});
    const label = element("span", { class: "name" });
    if (color) {
      const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.background = color;
      label.append(swatch);
    }
    label.append(name);
    const track = element("span", { class: "track", "aria-hidden": "true" });
    const fill = element("span", { class: "fill" });
    fill.style.width = percent(Math.min(Math.max(share, 0), 1));
    track.append(fill);
    item.append(label, track, element("span", { class: "share" }, text ?? percent(share)));
    list.append(item);
  }
  return list;
}

export function table(rows) {
  const made = element("table");
  for (const [name, value] of rows) {
    const row = element("tr");
    row.append(element("th", { scope: "row" }, name), element("td", {}, value));
    made.append(row);
  }
  return made;
}
