// The close-up: one unit's inputs, computation and output, in numbers.
import { grid, paintSigned, short } from "./draw.js";
import { kind } from "./layers.js";

const SHOWN = 3; // maps of a unit's inputs, those that contribute most
const CURVES = {
  ReLU: (x) => Math.max(0, x),
  Sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  Tanh: Math.tanh,
  GELU: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
};
const SLIDE = 6000; // milliseconds over a map
const get = (id) => document.getElementById(id);

export class CloseUp {
  constructor({ members, classes }) {
    Object.assign(this, { members, classes });
    get("slide").onclick = () => { this.sliding ? this.stop() : this.slide(); };
  }

  clear() { this.stop(); get("closeup").hidden = true; }

  // Shows the chosen unit, from rows of layers with their maps.
  show(rows, chosen) {
    this.rows = rows;
    this.chosen = chosen;
    if (this.sliding && !this.moving) this.stop();
    const { index, channel, top, left } = chosen, { layer, maps } = rows[index], [channels, height, width] = maps.shape;
    get("closeup").hidden = false;
    get("which").textContent = [
      layer.name,
      channels > 1 && `${width > 1 ? "map" : "unit"} ${channel + 1} of ${channels}${this.meaning(layer, channel, channels)}`,
      width > 1 && `row ${top + 1}, column ${left + 1}`,
    ].filter(Boolean).join(", ");
    const value = maps.values[(channel * height + top) * width + left];
    const unit = { rows, index, layer, channel, value, patches: index ? patches(rows, chosen) : [] };
    const parts = (DESCRIPTIONS[kind(layer)] ?? DESCRIPTIONS.activation)(unit, this.members);
    get("work").replaceChildren(...parts);
    get("slide").hidden = width < 3 || !index;
    get("ways").hidden = index > 0 && rows[index - 1].maps.shape.slice(1).every((side) => side === 1);
    this.draw(rows, chosen, unit);
  }

  // What a map or unit stands for: a colour of the image, a class of the output.
  meaning({ name }, channel, channels) {
    const names = name === "output" ? this.classes : name === "image" && channels === 3 ? ["red", "green", "blue"] : [];
    return names[channel] === undefined ? "" : ` (${names[channel]})`;
  }

  // Marks the window in the layer before and the unit in its own map.
  draw(rows, { index, channel, top, left }, { patches }) {
    const { maps } = rows[index], from = rows[Math.max(0, index - 1)], source = patches[0]?.channel ?? 0;
    picture(get("from"), from, source, patches[0]);
    picture(get("to"), rows[index], channel, { top, left, high: 1, wide: 1 }, this.sliding ? top * maps.shape[2] + left : Infinity);
    get("fromname").textContent = name(from, source);
    get("toname").textContent = name(rows[index], channel);
  }

  // Slides the window over the whole map, which fills up meanwhile.
  slide() {
    const { index, channel } = this.chosen, [, height, width] = this.rows[index].maps.shape, began = performance.now();
    const next = (now) => {
      const place = Math.floor(((now - began) / SLIDE) * height * width);
      if (place >= height * width) { this.stop(); return; }
      this.moving = true;
      if (place >= 0) this.onslide(index, channel, Math.floor(place / width), place % width);
      this.moving = false;
      if (this.sliding) this.sliding = requestAnimationFrame(next);
    };
    this.sliding = requestAnimationFrame(next);
    get("slide").textContent = "Stop";
  }

  stop() {
    cancelAnimationFrame(this.sliding);
    this.sliding = 0;
    get("slide").textContent = "Slide it over the map";
  }
}

// What each kind of layer does with its inputs.
const DESCRIPTIONS = {
  image: ({ value }) => [said(`A pixel, scaled to mean 0 and standard deviation 1: ${short(value)}`)],
  convolution: (unit) => [
    ...sum(unit),
    note("Local receptive field: the unit sees only this square. Shared weights: every unit of the map uses the same weights for its own square."),
  ],
  neurons: (unit) => [...sum(unit), note("No shared weights: each neuron has its own weights for every unit of the layer before.")],
  output: (unit, members) => [
    ...sum(unit),
    said(`softmax: e to the power of ${short(unit.value)}, divided by the sum of these powers over all classes = ${percent(softmax(unit))}`),
    note(members > 1 ? `This is the first of ${members} networks; the answer above is their mean.` : "Softmax turns the sums into probabilities: the answer above."),
  ],
  pooling: (unit) => [...strongest(unit), note("A quarter of the numbers remains. If a feature moves by one pixel, it mostly stays in the same 2×2 square, and the result hardly changes.")],
  maximum: (unit) => [...strongest(unit), note("It no longer matters where in the map the feature was found, only how strongly.")],
  normalisation: ({ layer, channel, value, patches: [{ values: [x] }] }) => [
    said(`${short(x)} × ${short(layer.scale[channel])} ${signed(layer.bias[channel])} = ${short(value)}`),
    note("The whole map has the same two numbers, learned from all training images."),
  ],
  activation: ({ layer, value, patches: [{ values: [x] }] }) => [
    curve(CURVES[kind(layer)], x, value, kind(layer)),
    said(`${kind(layer)}(${short(x)}) = ${short(value)}`),
    note(kind(layer) === "ReLU" ? "Negative values become zero, positive values pass unchanged. Without such a nonlinearity, several layers could do no more than one." : "A nonlinearity: without it, several layers could do no more than one."),
  ],
};

// A unit's inputs: from every map of the layer before if it has weights, otherwise only from its own map.
function patches(rows, { index, channel, top, left }) {
  const { layer } = rows[index], { layer: earlier, maps: { shape: [channels, height, width], values } } = rows[index - 1];
  const each = layer.step && earlier.step, [high, wide] = layer.step ? [layer.window, layer.window] : [height, width];
  const from = (unit) => (each ? (unit * layer.step + layer.start - earlier.start) / earlier.step : 0);
  const [row, column] = [from(top), from(left)];
  return (layer.filters ? Array.from({ length: channels }, (_, input) => input) : [channel]).map((input) => ({
    channel: input, top: row, left: column, high, wide,
    values: Array.from({ length: high * wide }, (_, place) => {
      const [y, x] = [row + Math.floor(place / wide), column + (place % wide)];
      return y < 0 || x < 0 || y >= height || x >= width ? 0 : values[(input * height + y) * width + x];
    }),
  }));
}

// Sums patch × weights: the maps that contribute most one by one, the rest as one number.
function sum({ rows, index, layer, channel, value, patches }) {
  const { values: weights, shape: [, inputs, high, wide] } = layer.filters, area = high * wide, start = channel * inputs * area;
  for (const patch of patches) {
    patch.weights = Array.from(weights.subarray(start + patch.channel * area, start + (patch.channel + 1) * area));
    patch.products = patch.values.map((one, place) => one * patch.weights[place]);
    patch.sum = total(patch.products);
  }
  const shown = area === 1 ? [flat(patches)] : patches.sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum)).slice(0, SHOWN);
  const columns = area === 1 ? Math.ceil(Math.sqrt(inputs)) : wide;
  const limits = [rows[index - 1].maps.strongest, ...["weights", "products"].map((key) => greatest(shown.flatMap((each) => each[key])))];
  const lines = shown.map((patch) => {
    const line = Object.assign(document.createElement("div"), { className: "line" });
    const [taken, weighed, product] = [["values", "its inputs"], ["weights", "its weights"], ["products", "their products"]].map(([key, label], place) =>
      caption(grid(patch[key], columns, { strongest: limits[place], label }), label));
    line.append(taken, sign("×"), weighed, sign("="), product);
    if (shown.length > 1) line.append(caption(sign(short(patch.sum)), `of map ${patch.channel + 1}`));
    return line;
  });
  const rest = area === 1 ? [] : patches.slice(SHOWN), [first, ...more] = shown.map((patch) => patch.sum);
  const others = rest.length ? ` ${signed(total(rest.map((each) => each.sum)))} (from ${rest.length} more maps)` : "";
  const bias = layer.bias ? ` ${signed(layer.bias[channel])} (bias)` : "";
  const alone = !more.length && !bias;
  return [said(alone ? `the sum of the products = ${short(value)}` : `${short(first)}${more.map((one) => ` ${signed(one)}`).join("")}${others}${bias} = ${short(value)}`), ...lines];
}

// Arranges maps of one unit each as one square.
function flat(patches) {
  const all = (key) => patches.flatMap((each) => each[key]);
  return { channel: 0, values: all("values"), weights: all("weights"), products: all("products"), sum: total(all("products")) };
}

function strongest({ rows, index, value, patches: [{ values, high, wide }] }) {
  const line = Object.assign(document.createElement("div"), { className: "line" });
  const label = `${wide} by ${high} units, the maximum marked`;
  line.append(grid(values, wide, { strongest: rows[index - 1].maps.strongest, mark: values.indexOf(Math.max(...values)), label }));
  return [line, said(`the maximum = ${short(value)}`)];
}

// The curve with this unit on it.
function curve(f, x, y, name) {
  const reach = Math.max(3, Math.abs(x) * 1.15), at = (a, b) => `${100 + (95 * a) / reach},${75 - (65 * b) / reach}`;
  const points = Array.from({ length: 81 }, (_, place) => (place / 40 - 1) * reach).map((a) => at(a, f(a)));
  const box = document.createElement("div");
  box.innerHTML = `<svg viewBox="0 0 200 150" role="img" aria-label="The curve of ${name}, with this unit on it">
    <path class="axes" d="M0 75H200M100 5V145"/><polyline points="${points.join(" ")}"/>
    <path class="drop" d="M${at(x, 0)}L${at(x, y)}L${at(0, y)}"/><circle r="5"/></svg>`;
  const [cx, cy] = at(x, y).split(",");
  Object.entries({ cx, cy }).forEach(([key, value]) => box.querySelector("circle").setAttribute(key, value));
  return box.firstElementChild;
}

// One map with a square marked; units after `until` are not drawn yet.
function picture(canvas, { maps: { shape: [, height, width], values, strongest } }, channel, square, until = Infinity) {
  const own = values.subarray(channel * height * width, (channel + 1) * height * width);
  paintSigned(canvas, own.map((value, place) => (place <= until ? value : 0)), strongest, width, height);
  canvas.parentElement.style.aspectRatio = `${width} / ${height}`;
  const frame = canvas.nextElementSibling, share = (units, of) => `${(100 * units) / of}%`;
  frame.hidden = !square;
  if (square) Object.assign(frame.style, { left: share(square.left, width), top: share(square.top, height), width: share(square.wide, width), height: share(square.high, height) });
}

function name({ layer, maps }, channel) { return maps.shape[0] > 1 ? `${layer.name}, map ${channel + 1}` : layer.name; }

function softmax({ rows, index, channel }) {
  const { values } = rows[index].maps, most = Math.max(...values), powers = Array.from(values, (value) => Math.exp(value - most));
  return powers[channel] / total(powers);
}

function total(values) { return values.reduce((sum, value) => sum + value, 0); }
function greatest(values) { return Math.max(...values.map(Math.abs)); }
function percent(share) { return `${(100 * share).toFixed(1)}%`; }
function signed(value) { return value < 0 ? `− ${short(-value)}` : `+ ${short(value)}`; }

function said(text) { return Object.assign(document.createElement("p"), { className: "said", textContent: text }); }
function note(text) { return Object.assign(document.createElement("p"), { className: "hint", textContent: text }); }
function sign(text) { return Object.assign(document.createElement("b"), { textContent: text }); }

function caption(content, text) {
  const figure = document.createElement("figure");
  figure.append(content, Object.assign(document.createElement("figcaption"), { textContent: text }));
  return figure;
}

// The error function (Abramowitz & Stegun, 1964, 7.1.26).
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - series * Math.exp(-x * x));
}
