// The page: sends the picture to /explain and shows the answer.
import { Frame } from "./frame.js";
import { Pad } from "./pad.js";
import { learnNames, showAnswer, showNothing } from "./answer.js";
import { camera } from "./camera.js";
import { CloseUp } from "./closeup.js";
import { Correction } from "./correct.js";
import { Layers } from "./layers.js";
import { call } from "./service.js";
import { Several } from "./several.js";
import { Study } from "./study.js";

const get = (id) => document.getElementById(id);
const load = async (path) => (await call(path)).json();
const network = await load("network"), drawn = network.preparation === "mnist"; // a pen on paper
const pad = drawn ? new Pad(get("pad")) : new Frame(get("pad"));
const study = new Study(network), closeup = new CloseUp(network), correction = new Correction(network), several = new Several(pad);
const layers = new Layers(get("layers"), get("field"), (...unit) => closeup.show(...unit));
const NOTHING = drawn ? "Nothing is drawn yet." : "There is no picture yet.";
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
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") pad.clear();
  if (event.key === "z" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); pad.undo(); }
});
camera(open, (sentence) => { get("said").textContent = sentence; });

// One request at a time; a drawing changed meanwhile is sent next. The longer request waits until the pen rests and is
// aborted when it moves again.
async function ask() {
  longer?.abort();
  several.unframe();
  if (busy) { again = true; return; }
  if (pad.blank) { nothing(); return; }
  busy = true;
  document.body.ariaBusy = "true";
  try {
    const picture = pad.picture(), answer = await send(picture, "?brief");
    longer = new AbortController();
    if (answer && !again && drawn) await several.ask(picture, longer.signal, !answer.doubtful);
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
    const response = await call(`explain${query}`, { method: "POST", body: picture, headers: { "Content-Type": picture.type ?? "image/png" }, signal });
    const answer = await response.json();
    if (!response.ok) { nothing(answer.error); return null; }
    showAnswer(answer);
    if (query) layers.show(answer.layers);
    if (query) get("took").textContent = `Answered in ${Math.round(performance.now() - began)} ms.`;
    return answer;
  } catch (error) {
    if (signal?.aborted) return null;
    if (!(error instanceof TypeError)) throw error;
    nothing("The service does not answer; is it running?");
    return null;
  }
}

function rest(answer) {
  if (!answer) return;
  correction.show(answer.image);
  study.show(answer);
}

function nothing(sentence = NOTHING) {
  showNothing(sentence);
  for (const part of [layers, closeup, study, correction, several]) part.clear();
}

async function open(file) {
  if (file) await pad.show(file);
}

// What the page is about, in the words of the champion's data set.
function introduce({ classes, dataset, image: { height, width, channels } }) {
  const digits = classes.every((name) => /^\d$/.test(name)), size = `${width}×${height} pixels${channels > 1 ? " in colour" : ""}`;
  document.body.classList.toggle("drawing", drawn);
  get("title").textContent = drawn ? `Draw a ${digits ? "digit" : "picture"}` : "Show a picture";
  document.title = `digitline: ${get("title").textContent.toLowerCase()}`;
  get("task").textContent = `and see how the network recognises it${dataset ? `: one of the ${classes.length} classes of ${dataset}` : ""}.`;
  get("received").textContent = size;
  get("image").ariaLabel = `The image that the model receives: ${size}`;
  if (!drawn) Object.assign(get("pad"), { tabIndex: -1, ariaLabel: "The picture" });
  for (const stack of document.querySelectorAll(".seen")) stack.style.aspectRatio = `${width} / ${height}`;
}

function describe({ model, variant, dataset, test_accuracy: right, test_doubted: doubted }) {
  const share = (part) => `${(100 * part).toFixed(2)}%`, of = `the test images${dataset ? ` of ${dataset}` : ""}`;
  get("model").textContent = `Model ${model.slice(0, 16)}, ${variant}${right ? `: right on ${share(right)} of ${of}` : ""}.`;
  if (doubted) get("alarms").textContent = ` It marks ${share(doubted)} of ${of} this way.`;
}

introduce(network);
learnNames(network.classes);
layers.learn(network);
nothing();
describe(await load("lineage"));
