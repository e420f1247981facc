// The layers, each as a picture of all its feature maps; pointing at a unit selects it for the close-up.
import { paintColours, paintSigned, unpack } from "./draw.js";

const GAP = 4;
const NAMED = 20; // classes whose names stand in the output's tiles; of more, the close-up names one
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
  learn({ layers, classes, image }) {
    Object.assign(this, { classes, image, named: classes.length <= NAMED });
    this.rows = layers.map((layer, index) => this.row({ ...layer, filters: layer.filters && unpack(layer.filters) }, index, layers));
    this.place.replaceChildren(...this.rows.map(({ element }) => element));
    for (const { element } of this.rows) this.seen.observe(element);
    this.resized.observe(this.place);
  }

  row(layer, index, layers) {
    const element = Object.assign(document.createElement("div"), { className: "layer" });
    element.innerHTML = '<div><h3></h3><p></p></div><div class="maps"><canvas width="1" height="1" tabindex="0" role="img"></canvas></div>';
    const firstFilters = layers.findIndex(({ filters }) => filters) === index;
    if (firstFilters) element.insertAdjacentHTML("beforeend", '<p>Its filters: one per map, the same at every place.</p><canvas class="filters" role="img" aria-label="The filters"></canvas>');
    const canvas = element.querySelector("canvas"), row = { layer, index, element, canvas, atlas: document.createElement("canvas") };
    row.filters = firstFilters && element.querySelector(".filters");
    element.querySelector("h3").textContent = layer.name;
    const first = layers.findIndex((each) => kind(each) === kind(layer)) === index;
    const about = first ? `${ABOUT[kind(layer)] ?? "A curve that limits every value."} ` : "";
    element.querySelector("p").textContent = `${about}A unit sees ${this.sees(layer)} of the image.`;
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
    const { canvas, maps, layer, filters } = row;
    row.stale = false;
    if (!maps) { canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height); return; }
    const [channels, height, width] = maps.shape, room = canvas.parentElement.clientWidth;
    row.tile = this.proportions(layer, width, height, room < 500);
    row.columns = Math.max(1, Math.min(channels, Math.floor((room + GAP) / (row.tile[0] + GAP))));
    this.tiles(row, row.tile, canvas, maps);
    canvas.ariaLabel = `${layer.name}: ${channels} maps of ${width} by ${height} units. The arrow keys select a unit.`;
    if (layer.name === "output" && this.named) this.name(row);
    if (filters) this.tiles(row, [row.tile[0], (row.tile[0] * layer.filters.shape[2]) / layer.filters.shape[3]], filters, layer.filters);
  }

  // The width and height of a map on the page: a whole number of pixels a unit, unless there are too many units.
  proportions({ name }, width, height, small) {
    const longer = Math.max(width, height), wanted = (small ? 24 : 32) + Math.min(longer, 12);
    const names = 8 + 7 * Math.max(...this.classes.map((each) => each.length)), side = small ? 27 : 30;
    if (longer === 1) return name === "output" && this.named ? [Math.max(side, Math.min(names, 110)), side] : [18, 18];
    const most = longer > 20 ? Math.min(Math.max(longer, small ? 36 : 48), small ? 72 : 96) : longer * Math.floor(wanted / longer);
    return [width, height].map((units) => Math.max(6, Math.round((units * most) / longer)));
  }

  // Draws maps [channels, height, width] or filters [channels, 1 or 3, height, width] as one picture of tiles.
  tiles({ columns, atlas }, tile, canvas, { shape, values, strongest }) {
    const [channels, height, width] = [shape[0], ...shape.slice(-2)], pen = canvas.getContext("2d"), sharp = devicePixelRatio;
    const size = [columns, Math.ceil(channels / columns)].map((count, axis) => count * (tile[axis] + GAP) - GAP);
    const [w, h] = size.map((length) => Math.round(length * sharp));
    if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
    [canvas.style.width, canvas.style.height] = size.map((length) => `${length}px`);
    const paint = shape.length === 4 && shape[1] === 3 ? paintColours : paintSigned;
    paint(atlas, values, strongest, width, height * channels, channels);
    pen.setTransform(sharp, 0, 0, sharp, 0, 0);
    pen.imageSmoothingEnabled = width > tile[0] * sharp;
    for (let channel = 0; channel < channels; channel++) {
      pen.drawImage(atlas, 0, channel * height, width, height, ...corner(columns, tile, channel), ...tile);
    }
  }

  // Writes the classes into the tiles of the output.
  name(row) {
    const pen = row.canvas.getContext("2d"), { values, strongest } = row.maps;
    Object.assign(pen, { font: "12px system-ui, sans-serif", textAlign: "center", textBaseline: "middle" });
    this.classes.forEach((name, channel) => {
      const [x, y] = corner(row.columns, row.tile, channel).map((place, axis) => place + row.tile[axis] / 2);
      pen.fillStyle = Math.abs(values[channel]) > 0.6 * strongest ? "#000" : "#fff";
      pen.fillText(name, x, y + 1, row.tile[0] - 4);
    });
  }

  point(row, event) {
    if (!row.maps) return;
    const box = row.canvas.getBoundingClientRect(), [channels, height, width] = row.maps.shape, { columns, tile } = row;
    const [x, y] = [event.clientX - box.left, event.clientY - box.top], [across, down] = tile.map((side) => side + GAP);
    const channel = Math.floor(y / down) * columns + Math.min(columns - 1, Math.floor(x / across));
    const at = (place, pitch, count) => Math.max(0, Math.min(count - 1, Math.floor(((place % pitch) / (pitch - GAP)) * count)));
    if (channel < channels) this.select(row.index, channel, at(y, down, height), at(x, across, width));
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
    const { layer, tile } = row, { channel, top, left } = this.chosen, start = corner(row.columns, tile, channel);
    const [, height, width] = row.maps.shape, cell = [tile[0] / width, tile[1] / height], least = cell.map((side) => Math.max(side, 6));
    const place = [left, top].map((units, axis) => start[axis] + units * cell[axis] - (least[axis] - cell[axis]) / 2);
    set(this.tile, ...start, ...tile, "px");
    set(this.unit, ...place, ...least, "px");
    row.canvas.parentElement.append(this.tile, this.unit);
    const sides = [this.image.width, this.image.height], share = (pixels) => pixels.map((length, axis) => (100 * length) / sides[axis]);
    const seen = layer.step ? [layer.size, layer.size] : sides; // in pixels
    set(this.field, ...share([left, top].map((units) => layer.start + units * layer.step)), ...share(seen), "%");
    this.field.hidden = false;
  }

  // The receptive field of a unit in words.
  sees({ size, step }) { return !step || size >= Math.max(this.image.height, this.image.width) ? "all" : size === 1 ? "one pixel" : `${size}×${size} pixels`; }
}

function corner(columns, tile, channel) {
  return [channel % columns, Math.floor(channel / columns)].map((place, axis) => place * (tile[axis] + GAP));
}

export function kind({ name }) { return name.split(" ")[0]; }

function set({ style }, left, top, width, height, unit) {
  Object.assign(style, { left: left + unit, top: top + unit, width: width + unit, height: height + unit });
}

function middle({ maps: { shape: [, height, width] } }) { return [height >> 1, width >> 1]; }

// The strongest unit of all maps: [channel, row, column].
function brightest({ maps: { shape: [, height, width], values } }) {
  const place = values.indexOf(Math.max(...values));
  return [Math.floor(place / (height * width)), Math.floor(place / width) % height, place % width];
}
