// The layers: a tile a feature map; pointing at a place in one shows its filter and its receptive field.
import { paint, signed, unpack } from "./draw.js";

const SIDE = 28;

export class Layers {
  constructor(place, field) {
    this.place = place;
    this.field = field;
    this.rows = [];
  }

  // The layers and their filters, which no image changes.
  learn({ layers }) {
    this.rows = layers.map((layer) => this.row(layer));
    this.place.replaceChildren(...this.rows.map(({ element }) => element));
    if (!layers.length) this.place.textContent = "This network has no convolutions: each of its neurons sees the whole image.";
  }

  row(layer) {
    const element = document.createElement("div");
    element.className = "layer";
    element.innerHTML = '<div><h3></h3><p></p><div class="filter"></div></div><div class="maps"></div>';
    element.querySelector("h3").textContent = layer.name;
    element.querySelector("p").textContent = `${explain(layer)} Each unit sees ${layer.size}×${layer.size} pixels.`;
    const filters = layer.filters && unpack(layer.filters);
    return { layer, element, filters, tiles: [] };
  }

  show(layers) {
    layers.forEach(({ maps }, place) => this.fill(this.rows[place], unpack(maps)));
  }

  clear() {
    for (const { tiles } of this.rows) for (const tile of tiles) tile.getContext("2d").clearRect(0, 0, tile.width, tile.height);
    this.field.hidden = true;
  }

  fill(row, { shape: [channels, height, width], low, high, bytes }) {
    if (row.tiles.length !== channels) this.tile(row, channels, height, width);
    row.tiles.forEach((tile, channel) => {
      const values = bytes.subarray(channel * height * width, (channel + 1) * height * width);
      paint(tile, values, (value) => [value, value, value, 255]);
      tile.title = `map ${channel + 1}, from ${low.toFixed(1)} (black) to ${high.toFixed(1)} (white)`;
    });
  }

  tile(row, channels, height, width) {
    row.tiles = Array.from({ length: channels }, (_, channel) => {
      const tile = document.createElement("canvas");
      Object.assign(tile, { width, height, tabIndex: channel ? -1 : 0 });
      tile.setAttribute("role", "img");
      tile.setAttribute("aria-label", `${row.layer.name}, map ${channel + 1} of ${channels}`);
      const point = (event) => this.point(row, channel, ...unit(tile, event));
      tile.addEventListener("pointermove", point);
      tile.addEventListener("pointerdown", point);
      tile.addEventListener("focus", () => this.point(row, channel, height >> 1, width >> 1));
      tile.addEventListener("keydown", (event) => this.step(row, channel, event));
      for (const left of ["pointerleave", "blur"]) tile.addEventListener(left, () => { this.field.hidden = true; });
      return tile;
    });
    row.element.querySelector(".maps").replaceChildren(...row.tiles);
  }

  // The arrow keys go from map to map.
  step(row, channel, event) {
    const next = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    row.tiles[channel + next]?.focus();
  }

  // The square of the image that this unit sees, and the filter of its map.
  point({ layer, filters, element }, channel, top, left) {
    const at = (unit) => layer.start + unit * layer.step, share = (pixels) => `${(100 * pixels) / SIDE}%`;
    Object.assign(this.field.style, { top: share(at(top)), left: share(at(left)), width: share(layer.size), height: share(layer.size) });
    this.field.hidden = false;
    if (filters) drawFilter(element.querySelector(".filter"), filters, channel);
  }
}

// The filter of a map, for each of the maps that it looks at (the first four).
function drawFilter(place, { shape: [, inputs, height, width], low, high, bytes }, channel) {
  const values = Array.from(bytes.subarray(channel * inputs * height * width, (channel + 1) * inputs * height * width));
  const weights = values.map((value) => low + ((high - low) * value) / 255);
  const strongest = Math.max(...weights.map(Math.abs));
  const shown = Math.min(inputs, 4);
  place.replaceChildren(...Array.from({ length: shown }, (_, input) => {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width, height });
    paint(canvas, weights.slice(input * height * width, (input + 1) * height * width), (weight) => signed(weight, strongest));
    canvas.title = "The filter's weights: blue below zero, orange above";
    return canvas;
  }));
  if (inputs > shown) place.append(`… of ${inputs}`);
}

function unit(tile, event) {
  const box = tile.getBoundingClientRect();
  const place = (share, count) => Math.min(count - 1, Math.max(0, Math.floor(share * count)));
  return [place((event.clientY - box.top) / box.height, tile.height), place((event.clientX - box.left) / box.width, tile.width)];
}

function explain({ name }) {
  if (name.startsWith("convolution")) return "One filter a map, slid over all of the layer before.";
  if (name.startsWith("pooling")) return "The strongest of every 2×2 units: a shift of a pixel changes little.";
  if (name.startsWith("ReLU")) return "What is below zero becomes zero.";
  return "A curve that squeezes every value.";
}
