// Numbers as pixels.

const GROUND = [20, 21, 26];
const BELOW = [[30, 120, 190], [178, 224, 255]], ABOVE = [[226, 130, 0], [255, 232, 170]]; // halfway, at the strongest
const STEPS = 255; // on each side of zero

// The colour of each value from the lowest to the highest, safe for colour-blind readers.
const SIGNED = Array.from({ length: 2 * STEPS + 1 }, (_, place) => {
  const strength = Math.abs(place - STEPS) / STEPS, [half, full] = place < STEPS ? BELOW : ABOVE;
  const [from, to, share] = strength < 0.5 ? [GROUND, half, 2 * strength] : [half, full, 2 * strength - 1];
  return from.map((value, band) => Math.round(value + (to[band] - value) * share));
});
const PIXELS = Uint32Array.from(SIGNED, ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0);

function step(value, strongest) {
  return STEPS + Math.round(STEPS * Math.max(-1, Math.min(1, value / (strongest || 1))));
}

export function colour(value, strongest) { return `rgb(${SIGNED[step(value, strongest)].join()})`; }

// Paints an image: rows of grey values, or of [red, green, blue].
export function paint(canvas, image) {
  const picture = new ImageData(image[0].length, image.length), pixels = new Uint32Array(picture.data.buffer);
  image.flat().forEach((value, place) => {
    const [red, green, blue] = value.length ? value : [value, value, value];
    pixels[place] = ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  });
  fit(canvas, picture.width, picture.height);
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

// Gives a canvas that size, which also clears it, if it has another one.
function fit(canvas, width, height) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
}

// Paints signed values in colour.
export function paintSigned(canvas, values, strongest, width, height) {
  fit(canvas, width, height);
  const picture = new ImageData(width, height), pixels = new Uint32Array(picture.data.buffer);
  for (let at = 0; at < values.length; at++) pixels[at] = PIXELS[step(values[at], strongest)];
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

// Paints `count` filters [count, 3, …, width] below each other in their own colours; zero is half of the light.
export function paintColours(canvas, values, strongest, width, height, count) {
  const picture = new ImageData(width, height), area = (width * height) / count; // of one filter
  picture.data.fill(255);
  values.forEach((value, at) => {
    const [filter, band] = [Math.floor(at / (3 * area)), Math.floor(at / area) % 3];
    picture.data[4 * (filter * area + (at % area)) + band] = 127.5 + (127.5 * value) / (strongest || 1);
  });
  fit(canvas, width, height);
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

// Unpacks an array of the service: its shape, its values, and the largest absolute value.
export function unpack({ shape, low, high, data }) {
  const steps = new Uint16Array(decode(data).buffer), values = new Float32Array(steps.length), scale = (high - low) / 65535;
  for (let at = 0; at < values.length; at++) values[at] = low + scale * steps[at];
  return { shape, values, strongest: Math.max(Math.abs(low), Math.abs(high)) };
}

// Decodes base64 to bytes.
export function decode(text) {
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = letters.charCodeAt(at);
  return bytes;
}

// A short number: two decimals or three digits.
export function short(value) {
  const text = Math.abs(value) < 9.995 ? value.toFixed(2) : value.toPrecision(3);
  return text.replace(/^-?0\.00$/, "0").replace(/^(-?)0\./, "$1.").replace("-", "−");
}

// The letters of a text's longest word, which decide the size of its type.
export function longest(text) { return Math.max(...text.split(/\s/).map((word) => word.length)); }

// A table of numbers in colour, with the numbers in its cells if they are large enough.
export function grid(values, columns, { strongest, mark = -1, label }) {
  const rows = Math.ceil(values.length / columns), side = Math.max(rows, columns);
  const cell = side > 30 ? 2 : side > 12 ? 5 : side > 5 ? 14 : side > 3 ? 26 : 30;
  const canvas = document.createElement("canvas"), sharp = Math.max(2, devicePixelRatio);
  Object.assign(canvas, { width: columns * cell * sharp, height: rows * cell * sharp, className: "grid" });
  canvas.style.width = `${columns * cell}px`;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  const pen = canvas.getContext("2d");
  pen.scale(sharp, sharp);
  Object.assign(pen, { font: `${cell > 26 ? 12 : 10}px system-ui, sans-serif`, textAlign: "center", textBaseline: "middle" });
  const gap = cell > 20 ? 1 : 0;
  values.forEach((value, place) => {
    const [x, y] = [(place % columns) * cell, Math.floor(place / columns) * cell];
    pen.fillStyle = colour(value, strongest);
    pen.fillRect(x, y, cell - gap, cell - gap);
    if (cell > 20) {
      pen.fillStyle = Math.abs(value) > 0.6 * strongest ? "#000" : "#fff";
      pen.fillText(short(value), x + cell / 2, y + cell / 2 + 0.5);
    }
    if (place === mark) Object.assign(pen, { strokeStyle: "#fff", lineWidth: 2 }).strokeRect(x + 1, y + 1, cell - 2 - gap, cell - 2 - gap);
  });
  return canvas;
}
