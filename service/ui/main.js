// The page: what is drawn goes to /explain as a picture, the answer is shown.
import { Pad } from "./pad.js";
import { showAnswer, showNothing, showTrouble } from "./answer.js";
import { Layers } from "./layers.js";
import { Study } from "./study.js";

const get = (id) => document.getElementById(id);
const pad = new Pad(get("pad"));
const layers = new Layers(get("layers"), get("field"));
const study = new Study();
let busy = false, again = false;

pad.onchange = ask;
get("undo").onclick = () => pad.undo();
get("clear").onclick = () => pad.clear();
get("size").oninput = (event) => { pad.width = Number(event.target.value); };
get("file").onchange = (event) => { open(event.target.files[0]); event.target.value = ""; };
addEventListener("paste", (event) => open([...event.clipboardData.files][0]));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => { event.preventDefault(); open(event.dataTransfer.files[0]); });
addEventListener("keydown", (event) => {
  if (event.key === "Escape") pad.clear();
  if (event.key === "z" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); pad.undo(); }
});

// One question at a time; what was drawn meanwhile is asked next.
async function ask() {
  if (busy) { again = true; return; }
  if (pad.blank) { showNothing(); layers.clear(); study.clear(); return; }
  busy = true;
  document.body.ariaBusy = "true";
  try {
    await send(await pad.picture());
  } finally {
    busy = false;
    document.body.ariaBusy = "false";
    if (again) { again = false; ask(); }
  }
}

async function open(file) {
  if (!file) return;
  try {
    await pad.show(file);
  } catch {
    showTrouble("The file is no picture that this browser can show.");
  }
}

async function send(picture) {
  const began = performance.now();
  try {
    const response = await fetch("../explain", { method: "POST", body: picture, headers: { "Content-Type": picture.type } });
    const answer = await response.json();
    if (!response.ok) { showTrouble(answer.error); return; }
    showAnswer(answer);
    layers.show(answer.layers);
    study.show(answer);
    get("model").textContent = `Model ${answer.model.slice(0, 16)}, answered in ${Math.round(performance.now() - began)} ms.`;
  } catch {
    showTrouble("The service does not answer.");
  }
}

layers.learn(await (await fetch("../network")).json());
showNothing();
