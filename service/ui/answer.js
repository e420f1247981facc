// The answer: the class, the probabilities, the model's image and, when it arrives, the evidence.
import { longest, paint } from "./draw.js";

const FEW = 12, TOP = 10; // of more classes than these few, only the most probable are shown at first
const get = (id) => document.getElementById(id);
const bars = new Map();

get("more").onclick = () => { get("bars").classList.toggle("all"); nameMore(); };

export function showAnswer({ label, probabilities, classes, doubtful, image, evidence }) {
  const share = Math.max(...probabilities);
  document.body.classList.toggle("doubtful", doubtful);
  found(doubtful ? "?" : label);
  get("said").textContent = doubtful
    ? `Perhaps none of the classes; the nearest one is ${label}.`
    : `${label}, with a probability of ${percent(share)}.`;
  classes.forEach((name, place) => show(name, probabilities[place], name === label));
  if (classes.length > FEW) sort(classes, probabilities);
  paint(get("image"), image);
  if (evidence) showEvidence(image, evidence);
}

// The classes' names decide where the answer stands.
export function learnNames(classes) {
  get("found").classList.toggle("long", classes.some((name) => name.length > 2));
}

// The answer, in letters as large as there is room for.
function found(text) {
  get("found").textContent = text;
  get("found").style.setProperty("--letters", longest(text));
}

// One square per part; the last ones of a row or column may reach over the image's edge.
function showEvidence(image, evidence) {
  const [high, wide] = [image.length, image[0].length], [rows, columns] = [evidence.length, evidence[0].length];
  const values = evidence.flat(), strongest = Math.max(1, ...values.map(Math.abs)), picture = new ImageData(columns, rows);
  values.forEach((value, place) => {
    picture.data.set([...(value > 0 ? [230, 140, 0] : [86, 180, 233]), (230 * Math.abs(value)) / strongest], 4 * place);
  });
  const canvas = Object.assign(get("evidence"), { width: columns, height: rows });
  const step = Math.ceil(Math.max(high, wide) / Math.max(rows, columns));
  Object.assign(canvas.style, { width: `${(100 * columns * step) / wide}%`, height: `${(100 * rows * step) / high}%` });
  canvas.getContext("2d").putImageData(picture, 0, 0);
  paint(get("under"), image);
}

export function showNothing(sentence) {
  document.body.classList.remove("doubtful");
  found("?");
  get("said").textContent = sentence;
  for (const name of bars.keys()) show(name, 0, false);
  for (const id of ["image", "under", "evidence"]) get(id).getContext("2d").clearRect(0, 0, get(id).width, get(id).height);
}

function show(name, probability, first) {
  if (!bars.has(name)) {
    const item = document.createElement("li");
    item.innerHTML = '<b></b><span class="bar"><i></i></span><output></output>';
    item.querySelector("b").textContent = name;
    get("bars").append(item);
    bars.set(name, item);
  }
  const item = bars.get(name);
  item.classList.toggle("first", first);
  item.querySelector("i").style.transform = `scaleX(${probability})`;
  item.querySelector("output").textContent = percent(probability);
}

// The most probable classes first; the others appear on request.
function sort(classes, probabilities) {
  const order = classes.map((name, place) => [name, probabilities[place]]).sort(([, a], [, b]) => b - a);
  order.forEach(([name], rank) => bars.get(name).classList.toggle("rest", rank >= TOP));
  get("bars").append(...order.map(([name]) => bars.get(name)));
  get("more").hidden = false;
  nameMore();
}

function nameMore() {
  get("more").textContent = get("bars").classList.contains("all") ? `Show the first ${TOP}` : `Show all ${bars.size} classes`;
}

function percent(share) { return `${(100 * share).toFixed(share > 0.9995 || share < 0.0005 ? 0 : 1)}%`; }
