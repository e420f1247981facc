// The answer: the digit, all probabilities, the model's image and, when it arrives, the evidence.
import { paint } from "./draw.js";

const get = (id) => document.getElementById(id);
const bars = new Map();

export function showAnswer({ digit, probabilities, classes, doubtful, image, evidence }) {
  const share = Math.max(...probabilities);
  document.body.classList.toggle("doubtful", doubtful);
  get("digit").textContent = doubtful ? "?" : digit;
  get("said").textContent = doubtful
    ? `Perhaps not a digit; the nearest one is ${digit}.`
    : `${digit}, with a probability of ${percent(share)}.`;
  classes.forEach((name, place) => show(name, probabilities[place], name === digit));
  paint(get("image"), image.flat());
  if (evidence) showEvidence(image, evidence.flat());
}

function showEvidence(image, evidence) {
  paint(get("under"), image.flat());
  const strongest = Math.max(1, ...evidence.map(Math.abs)), picture = new ImageData(14, 14);
  evidence.forEach((value, place) => {
    picture.data.set([...(value > 0 ? [230, 140, 0] : [86, 180, 233]), (230 * Math.abs(value)) / strongest], 4 * place);
  });
  get("evidence").getContext("2d").putImageData(picture, 0, 0);
}

export function showNothing() {
  document.body.classList.remove("doubtful");
  get("digit").textContent = "?";
  get("said").textContent = "Nothing is drawn yet.";
  for (const name of bars.keys()) show(name, 0, false);
  for (const id of ["image", "under", "evidence"]) get(id).getContext("2d").clearRect(0, 0, 28, 28);
}

export function showTrouble(sentence) {
  showNothing();
  get("said").textContent = sentence;
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

function percent(share) { return `${(100 * share).toFixed(share > 0.9995 || share < 0.0005 ? 0 : 1)}%`; }
