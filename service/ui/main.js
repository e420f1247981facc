// The page: sends the drawing to /explain as a picture and shows the answer.
import { Pad } from "./pad.js";
import { showAnswer, showNothing, showTrouble } from "./answer.js";
import { CloseUp } from "./closeup.js";
import { Correction } from "./correct.js";
import { Layers } from "./layers.js";
import { Study } from "./study.js";

const get = (id) => document.getElementById(id);
const load = async (path) => (await fetch(`../${path}`)).json();
const pad = new Pad(get("pad"));
const study = new Study();
const network = await load("network");
const closeup = new CloseUp(network.members), correction = new Correction(network);
const layers = new Layers(get("layers"), get("field"), (...unit) => closeup.show(...unit));
let busy = false, again = false, longer;

pad.onchange = ask;
closeup.onslide = (...unit) => layers.select(...unit);
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

// One request at a time; a drawing changed meanwhile is sent next. The longer request waits until the pen rests and is
// aborted when it moves again.
async function ask() {
  longer?.abort();
  if (busy) { again = true; return; }
  if (pad.blank) { nothing(); return; }
  busy = true;
  document.body.ariaBusy = "true";
  try {
    const picture = pad.picture(), answer = await send(picture, "?brief");
    longer = new AbortController();
    if (answer && !again) rest(await send(picture, "", longer.signal));
  } finally {
    busy = false;
    document.body.ariaBusy = "false";
    if (again) { again = false; ask(); }
  }
}

// Sends a picture and returns the answer, or null after showing the error.
async function send(picture, query, signal) {
  const began = performance.now();
  try {
    const response = await fetch(`../explain${query}`, { method: "POST", body: picture, headers: { "Content-Type": picture.type ?? "image/png" }, signal });
    const answer = await response.json();
    if (!response.ok) { nothing(); showTrouble(answer.error); return null; }
    showAnswer(answer);
    if (query) layers.show(answer.layers);
    if (query) get("took").textContent = `Answered in ${Math.round(performance.now() - began)} ms.`;
    return answer;
  } catch (error) {
    if (signal?.aborted) return null;
    if (!(error instanceof TypeError)) throw error;
    nothing();
    showTrouble("The service does not answer; is it running?");
    return null;
  }
}

function rest(answer) {
  if (!answer) return;
  correction.show(answer.image);
  study.show(answer);
}

function nothing() {
  showNothing();
  for (const part of [layers, closeup, study, correction]) part.clear();
}

async function open(file) {
  if (!file) return;
  try {
    await pad.show(file);
  } catch {
    showTrouble("This browser cannot open the file as a picture.");
  }
}

function describe({ model, variant, test_accuracy: right, test_doubted: doubted }) {
  const share = (part) => `${(100 * part).toFixed(2)}%`;
  get("model").textContent = `Model ${model.slice(0, 16)}, ${variant}${right ? `: right on ${share(right)} of MNIST's test images` : ""}.`;
  if (doubted) get("alarms").textContent = ` It marks ${share(doubted)} of MNIST's test digits this way.`;
}

layers.learn(network);
showNothing();
describe(await load("lineage"));
