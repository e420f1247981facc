// Every variant's answer to the same image, which sliders move.
import { longest, paint } from "./draw.js";
import { call } from "./service.js";

const SLIDERS = ["right", "down", "turn", "scale", "thick"];
const REACH = 0.28; // of a side, that an image can be shifted by
const get = (id) => document.getElementById(id);

export class Study {
  constructor({ variants, apart, image }) {
    this.image = null;
    this.offered = variants.length > 0;
    get("study").hidden = !this.offered && !apart;
    document.querySelector(".moved").hidden = !this.offered;
    if (apart) get("invitation").textContent = `There is none to show: ${apart}.`;
    for (const [id, side] of [["right", image.width], ["down", image.height]]) {
      const reach = Math.round(REACH * side);
      Object.assign(get(id), { min: -reach, max: reach });
    }
    for (const id of SLIDERS) get(id).oninput = () => this.ask();
    get("back").onclick = () => {
      for (const id of SLIDERS) get(id).value = get(id).defaultValue;
      this.ask();
    };
  }

  // The image that the model received, and its answer.
  show({ image, label }) {
    this.image = image;
    this.label = label;
    this.ask();
  }

  clear() {
    this.image = null;
    get("moved").getContext("2d").clearRect(0, 0, get("moved").width, get("moved").height);
    get("variants").replaceChildren();
  }

  // One request at a time, as for the sheet.
  async ask() {
    if (!this.image || !this.offered) return;
    if (this.busy) { this.again = true; return; }
    this.busy = true;
    try {
      const values = Object.fromEntries(SLIDERS.map((id) => [id, Number(get(id).value)]));
      const moved = thicken(move(this.image, values), values.thick);
      paint(get("moved"), moved);
      const response = await call("compare", {
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
      const share = Math.max(...probabilities), label = classes[probabilities.indexOf(share)];
      const item = document.createElement("li");
      item.innerHTML = "<span></span><b></b><span></span>";
      const [title, answer, sure] = item.children;
      [title.textContent, answer.textContent, sure.textContent] = [name, label, `${(100 * share).toFixed(0)}%`];
      answer.style.setProperty("--letters", longest(label));
      item.classList.toggle("fooled", label !== this.label);
      return item;
    }));
  }
}

// Shifts by pixels, rotates by degrees and scales, by drawing with the browser; what comes into view has the colour of
// the image's first pixel.
function move(image, { right, down, turn, scale }) {
  const [height, width] = [image.length, image[0].length], [from, to] = [sheet(width, height), sheet(width, height)];
  paint(from.canvas, image);
  to.fillStyle = `rgb(${[image[0][0], image[0][0], image[0][0]].flat().slice(0, 3)})`;
  to.fillRect(0, 0, width, height);
  to.translate(width / 2 + right, height / 2 + down);
  to.rotate((turn * Math.PI) / 180);
  to.scale(scale, scale);
  to.drawImage(from.canvas, -width / 2, -height / 2);
  const { data } = to.getImageData(0, 0, width, height), coloured = Array.isArray(image[0][0]);
  return image.map((line, row) => line.map((_, column) => {
    const at = 4 * (row * width + column);
    return coloured ? [...data.subarray(at, at + 3)] : data[at];
  }));
}

// Widens strokes by a maximum filter, or thins them by a minimum filter.
function thicken(image, times) {
  if (!times) return image;
  const best = times > 0 ? Math.max : Math.min;
  const near = (row, column) => [-1, 0, 1].flatMap((dy) => [-1, 0, 1].map((dx) => image[row + dy]?.[column + dx] ?? 0));
  return thicken(image.map((line, row) => line.map((_, column) => best(...near(row, column)))), times - Math.sign(times));
}

function sheet(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height }).getContext("2d", { willReadFrequently: true });
}
