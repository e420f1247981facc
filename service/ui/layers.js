// The layers, each as a picture of all its feature maps; pointing at a unit selects it for the close-up.
import { paintSigned, unpack } from "./draw.js";

const SIDE = 28, GAP = 4;
const ABOUT = {
  image: "What the model receives, scaled to mean 0 and standard deviation 1.",
  convolution: "One filter per map, slid over the whole layer before.",
  pooling: "The maximum of every 2×2 units.",
  normalisation: "Each map scaled and shifted, so that its values centre on zero.",
  ReLU: "Negative values become zero: no more blue.",
  maximum: "The maximum of each whole map: whether its feature is anywhere.",
  neurons: "Each neuron has weights for all units of the layer before.",
  output: "One sum per class; the largest one is the answer.",
};

export class Layers {
  constructor(place, field, choose) {
    Object.assign(this, { place, field, choose, rows: [], chosen: null });
    this.tile = Object.assign(document.createElement("i"), { className: "tile" });
    this.unit = Object.assign(document.createElement("i"), { className: "unit" });
    this.resized = new ResizeObserver(() => { for (const row of this.rows) this.draw(row); this.mark(); });
    this.seen = new IntersectionObserver((changes) => {
      for (const { target, isIntersecting } of changes) {
        const row = this.rows.find(({ element }) => element === target);
        row.visible = isIntersecting;
        if (row.visible && row.stale) this.draw(row);
      }
    }, { rootMargin: "200px" });
  }

  // The layers and their weights, which are the same for every image.
  learn({ layers, classes }) {
    this.classes = classes;
    this.rows = layers.map((layer, index) => this.row({ ...layer, filters: layer.filters && unpack(layer.filters) }, index, layers));
    this.place.replaceChildren(...this.rows.map(({ element }) => element));
    for (const { element } of this.rows) this.seen.observe(element);
    this.resized.observe(this.place);
  }

  row(layer, index, layers) {
    const element = Object.assign(document.createElement("div"), { className: "layer" });
    element.innerHTML = '<div><h3></h3><p></p></div><div class="maps"><canvas width="1" height="1" tabindex="0" role="img"></canvas></div>';
    if (layer.filters?.shape[1] === 1) element.insertAdjacentHTML("beforeend", '<p>Its filters: one per map, the same at every place.</p><canvas class="filters" role="img" aria-label="The filters"></canvas>');
    const canvas = element.querySelector("canvas"), row = { layer, index, element, canvas, atlas: document.createElement("canvas") };
    element.querySelector("h3").textContent = layer.name;
    const first = layers.findIndex((each) => kind(each) === kind(layer)) === index;
    const about = first ? `${ABOUT[kind(layer)] ?? "A curve that limits every value."} ` : "";
    element.querySelector("p").textContent = `${about}A unit sees ${sees(layer)} of the image.`;
    for (const kind of ["pointermove", "pointerdown"]) canvas.addEventListener(kind, (event) => this.point(row, event));
    canvas.addEventListener("keydown", (event) => this.step(row, event));
    canvas.addEventListener("focus", () => { if (row.maps && this.chosen?.index !== index) this.select(index, 0, ...middle(row)); });
    return row;
  }

  show(layers) {
    layers.forEach(({ maps }, place) => {
      const row = this.rows[place];
      row.maps = unpack(maps);
      row.stale = true;
      if (row.visible) this.draw(row);
    });
    if (this.selected) this.pick(...Object.values(this.chosen));
    else this.pick(1, ...brightest(this.rows[1]));
  }

  clear() {
    for (const row of this.rows) { row.maps = null; this.draw(row); }
    this.tile.remove();
    this.unit.remove();
    this.field.hidden = true;
  }

  draw(row) {
    const { canvas, maps, layer } = row;
    row.stale = false;
    if (!maps) { canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height); return; }
    const [channels, height, width] = maps.shape, room = canvas.parentElement.clientWidth;
    const small = room < 500, wanted = (small ? 24 : 32) + Math.min(width, 12);
    if (width === 1) row.side = layer.name === "output" ? (small ? 27 : 30) : 18;
    else row.side = width > 20 ? (small ? 36 : 48) : width * Math.floor(wanted / width);
    row.columns = Math.max(1, Math.min(channels, Math.floor((room + GAP) / (row.side + GAP))));
    this.tiles(row, canvas, maps);
    canvas.ariaLabel = `${layer.name}: ${channels} maps of ${width} by ${height} units. The arrow keys select a unit.`;
    if (layer.name === "output") this.name(row);
    if (layer.filters?.shape[1] === 1) this.tiles(row, row.element.querySelector(".filters"), layer.filters);
  }

  // Draws an array [channels, …, height, width] as one picture with a tile per channel.
  tiles(row, canvas, { shape, values, strongest }) {
    const [channels, height, width] = [shape[0], ...shape.slice(-2)], pen = canvas.getContext("2d"), sharp = devicePixelRatio;
    const size = [row.columns, Math.ceil(channels / row.columns)].map((count) => count * (row.side + GAP) - GAP);
    const [w, h] = size.map((length) => Math.round(length * sharp));
    if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
    [canvas.style.width, canvas.style.height] = size.map((length) => `${length}px`);
    paintSigned(row.atlas, values, strongest, width, height * channels);
    pen.imageSmoothingEnabled = false;
    pen.setTransform(sharp, 0, 0, sharp, 0, 0);
    for (let channel = 0; channel < channels; channel++) {
      pen.drawImage(row.atlas, 0, channel * height, width, height, ...this.corner(row, channel), row.side, row.side);
    }
  }

  // Writes the classes into the tiles of the output.
  name(row) {
    const pen = row.canvas.getContext("2d"), { values, strongest } = row.maps;
    Object.assign(pen, { font: "12px system-ui, sans-serif", textAlign: "center", textBaseline: "middle" });
    this.classes.forEach((name, channel) => {
      const [x, y] = this.corner(row, channel).map((place) => place + row.side / 2);
      pen.fillStyle = Math.abs(values[channel]) > 0.6 * strongest ? "#000" : "#fff";
      pen.fillText(name, x, y + 1, row.side - 4);
    });
  }

  corner({ columns, side }, channel) { return [channel % columns, Math.floor(channel / columns)].map((place) => place * (side + GAP)); }

  point(row, event) {
    if (!row.maps) return;
    const box = row.canvas.getBoundingClientRect(), pitch = row.side + GAP, [channels, height, width] = row.maps.shape;
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const channel = Math.floor(y / pitch) * row.columns + Math.min(row.columns - 1, Math.floor(x / pitch));
    const at = (place, count) => Math.max(0, Math.min(count - 1, Math.floor(((place % pitch) / row.side) * count)));
    if (channel < channels) this.select(row.index, channel, at(y, height), at(x, width));
  }

  // The arrow keys move from unit to unit, and over a map's edge to the next map.
  step(row, event) {
    const [down, right] = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key] ?? [0, 0];
    if ((!down && !right) || !row.maps) return;
    event.preventDefault();
    const [channels, height, width] = row.maps.shape, { channel, top, left } = this.chosen;
    const over = Math.floor((top + down) / height) * row.columns + Math.floor((left + right) / width);
    if (channel + over < 0 || channel + over >= channels) return;
    this.select(row.index, channel + over, (top + down + height) % height, (left + right + width) % width);
  }

  // A selection by the reader, which the next image does not change.
  select(...unit) {
    this.selected = true;
    this.pick(...unit);
  }

  pick(index, channel, top, left) {
    this.chosen = { index, channel, top, left };
    this.mark();
    this.choose(this.rows, this.chosen);
  }

  // Marks the unit in its map and its receptive field in the image.
  mark() {
    const row = this.rows[this.chosen?.index];
    if (!row?.maps) return;
    if (!row.columns) this.draw(row);
    const { layer, side } = row, { channel, top, left } = this.chosen, [x, y] = this.corner(row, channel);
    const cell = side / row.maps.shape[1], least = Math.max(cell, 6), shift = (cell - least) / 2;
    set(this.tile, x, y, side, side, "px");
    set(this.unit, x + left * cell + shift, y + top * cell + shift, least, least, "px");
    row.canvas.parentElement.append(this.tile, this.unit);
    const [from, to, size] = [layer.start + left * layer.step, layer.start + top * layer.step, layer.size].map((pixels) => (100 * pixels) / SIDE);
    set(this.field, from, to, size, size, "%");
    this.field.hidden = false;
  }
}

export function kind({ name }) { return name.split(" ")[0]; }

function sees({ size }) { return size >= SIDE ? "all" : size === 1 ? "one pixel" : `${size}×${size} pixels`; }

function set({ style }, left, top, width, height, unit) {
  Object.assign(style, { left: left + unit, top: top + unit, width: width + unit, height: height + unit });
}

function middle({ maps: { shape: [, height, width] } }) { return [height >> 1, width >> 1]; }

// The strongest unit of all maps: [channel, row, column].
function brightest({ maps: { shape: [, height, width], values } }) {
  const place = values.indexOf(Math.max(...values));
  return [Math.floor(place / (height * width)), Math.floor(place / width) % height, place % width];
}
