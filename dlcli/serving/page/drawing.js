// What is laid over an image: boxes, a mask, a map.

import { element } from "./elements.js";

const SVG = "http://www.w3.org/2000/svg";
const COLORS = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7"];
const SMALL = 96; // pixels of the longer side, below which an image is shown enlarged

export const colorOf = (index) => COLORS[index % COLORS.length];

// An element of an SVG drawing.
export function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// An image with what is laid over it; resolves when it is loaded, or cannot be.
export function photo(source, alt) {
  const stack = element("div", { class: "stack" });
  const shown = element("img", { class: "photo", alt });
  stack.append(shown);
  stack.ready = new Promise((resolve) => {
    shown.addEventListener("load", () => {
      stack.classList.toggle("small", Math.max(shown.naturalWidth, shown.naturalHeight) < SMALL);
      resolve(shown);
    });
    shown.addEventListener("error", () => {
      stack.replaceChildren(element("p", { class: "quiet" }, "This browser does not show this format."));
      resolve(null);
    });
  });
  shown.src = source;
  return stack;
}

// Boxes [x1, y1, x2, y2] in pixels of the upright image, each with a color and a caption.
export async function drawBoxes(stack, boxes) {
  const shown = await stack.ready;
  if (shown === null || boxes.length === 0) return;
  const [width, height] = [shown.naturalWidth, shown.naturalHeight];
  const layer = shape("svg", { class: "over", viewBox: `0 0 ${width} ${height}` });
  layer.setAttribute("aria-hidden", "true"); // the same is listed as text
  const scale = width / Math.max(shown.clientWidth, 1);
  for (const { box, color, caption } of boxes) {
    const [x1, y1, x2, y2] = box;
    const places = { x: x1, y: y1, width: Math.max(x2 - x1, 0), height: Math.max(y2 - y1, 0) };
    const rectangle = shape("rect", places);
    rectangle.setAttribute("fill", "none");
    rectangle.setAttribute("stroke", color);
    rectangle.setAttribute("stroke-width", "2.5");
    rectangle.setAttribute("vector-effect", "non-scaling-stroke");
    const label = shape("text", {});
    label.textContent = caption;
    label.setAttribute("x", x1 + 3 * scale);
    label.setAttribute("y", Math.max(y1 - 4 * scale, 13 * scale));
    label.setAttribute("fill", color);
    label.setAttribute("stroke", "#000");
    label.setAttribute("stroke-width", 3 * scale);
    label.setAttribute("paint-order", "stroke");
    label.style.fontSize = `${12 * scale}px`;
    layer.append(rectangle, label);
  }
  stack.append(layer);
}

// An image of the same place, such as a mask, with a box to switch it off.
export function overlay(stack, source, kind, caption) {
  const layer = element("img", { class: `over ${kind}`, alt: "" });
  layer.src = source;
  stack.append(layer);
  const box = element("input", { type: "checkbox" });
  box.checked = true;
  box.addEventListener("change", () => { layer.hidden = !box.checked; });
  const label = element("label", { class: "quiet" });
  label.append(box, ` ${caption}`);
  return label;
}
