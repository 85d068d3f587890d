// What the page asks the server; every failure becomes an Error with a sentence for the user.

let token = "";

export class TokenNeeded extends Error {}

export function setToken(text) {
  token = text;
}

async function send(path, options = {}) {
  const headers = new Headers(options.headers);
  if (token) headers.set("Authorization", `Bearer ${token}`);
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch {
    throw new Error("The server cannot be reached. Is it still running?");
  }
  if (response.status === 401) throw new TokenNeeded("The token is not right.");
  let body;
  try {
    body = await response.json();
  } catch {
    throw new Error(`The server sent no result (status ${response.status}).`);
  }
  if (!response.ok) throw new Error(body.error ?? `The request failed (status ${response.status}).`);
  return body;
}

const address = (name, verb) => `/v1/models/${encodeURIComponent(name)}:${verb}`;

export async function listModels() {
  return (await send("/v1/models")).models;
}

// The prediction for one image, a Blob, and the milliseconds until it was here.
export async function predictImage(name, blob) {
  const started = performance.now();
  const body = await send(`${address(name, "predict")}?top=5`, image(blob));
  return { row: body.predictions[0], milliseconds: performance.now() - started };
}

export async function showImage(name, blob) {
  return send(address(name, "show"), image(blob));
}

export async function showValue(name, value) {
  return send(address(name, "show"), json(value));
}

function json(value) {
  const headers = { "Content-Type": "application/json" };
  return { method: "POST", body: JSON.stringify({ instances: [value] }), headers };
}

function image(blob) {
  const type = blob.type.startsWith("image/") ? blob.type : "application/octet-stream";
  return { method: "POST", body: blob, headers: { "Content-Type": type } };
}

// The prediction for a text or the steps of a series.
export async function predictValue(name, value) {
  const started = performance.now();
  const body = await send(`${address(name, "predict")}?top=5`, json(value));
  return { row: body.predictions[0], milliseconds: performance.now() - started };
}
