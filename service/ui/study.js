// Every variant's answer to the same image, which sliders move.
import { paint } from "./draw.js";

const SIDE = 28;
const SLIDERS = ["right", "down", "turn", "scale", "thick"];
const get = (id) => document.getElementById(id);

export class Study {
  constructor() {
    this.image = null;
    for (const id of SLIDERS) get(id).oninput = () => this.ask();
    get("back").onclick = () => {
      for (const id of SLIDERS) get(id).value = get(id).defaultValue;
      this.ask();
    };
  }

  // The image [28][28] that the model received, and its answer.
  show({ image, digit }) {
    this.image = image;
    this.digit = digit;
    this.ask();
  }

  clear() {
    this.image = null;
    get("moved").getContext("2d").clearRect(0, 0, SIDE, SIDE);
    get("variants").replaceChildren();
  }

  // One request at a time, as for the sheet.
  async ask() {
    if (!this.image) return;
    if (this.busy) { this.again = true; return; }
    this.busy = true;
    try {
      const values = Object.fromEntries(SLIDERS.map((id) => [id, Number(get(id).value)]));
      const moved = thicken(move(this.image, values), values.thick);
      paint(get("moved"), moved.flat());
      const response = await fetch("../compare", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ images: [moved] }),
      });
      if (response.ok) this.list(await response.json());
    } finally {
      this.busy = false;
      if (this.again) { this.again = false; this.ask(); }
    }
  }

  list({ classes, variants }) {
    get("variants").replaceChildren(...Object.entries(variants).map(([name, [probabilities]]) => {
      const share = Math.max(...probabilities), digit = classes[probabilities.indexOf(share)];
      const item = document.createElement("li");
      item.innerHTML = "<span></span><b></b><span></span>";
      const [title, answer, sure] = item.children;
      [title.textContent, answer.textContent, sure.textContent] = [name, digit, `${(100 * share).toFixed(0)}%`];
      item.classList.toggle("fooled", digit !== this.digit);
      return item;
    }));
  }
}

// Shifts by pixels, rotates by degrees and scales, by drawing with the browser.
function move(image, { right, down, turn, scale }) {
  const [from, to] = [sheet(), sheet()];
  paint(from.canvas, image.flat());
  to.fillRect(0, 0, SIDE, SIDE);
  to.translate(SIDE / 2 + right, SIDE / 2 + down);
  to.rotate((turn * Math.PI) / 180);
  to.scale(scale, scale);
  to.drawImage(from.canvas, -SIDE / 2, -SIDE / 2);
  const { data } = to.getImageData(0, 0, SIDE, SIDE);
  return Array.from({ length: SIDE }, (_, row) => Array.from({ length: SIDE }, (_, column) => data[4 * (row * SIDE + column)]));
}

// Widens strokes by a maximum filter, or thins them by a minimum filter.
function thicken(image, times) {
  if (!times) return image;
  const best = times > 0 ? Math.max : Math.min;
  const near = (row, column) => [-1, 0, 1].flatMap((dy) => [-1, 0, 1].map((dx) => image[row + dy]?.[column + dx] ?? 0));
  return thicken(image.map((line, row) => line.map((_, column) => best(...near(row, column)))), times - Math.sign(times));
}

function sheet() {
  const canvas = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
  return canvas.getContext("2d", { willReadFrequently: true });
}
