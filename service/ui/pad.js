// The sheet: strokes, which can be undone, over an optional picture.
import { png, sent, shown } from "./picture.js";

const RANK = { keys: 0, touch: 1, mouse: 1, pen: 2 }; // who takes the sheet from whom
const PALM = 500; // milliseconds before and after a pen in which a touch is the palm of its hand
const ANSWERS = { pointerdown: "down", pointermove: "move", pointercancel: "cancel", lostpointercapture: "up" };

export class Pad {
  constructor(canvas) {
    this.canvas = canvas;
    this.cursor = canvas.nextElementSibling;
    this.pen = canvas.getContext("2d", { willReadFrequently: true });
    this.width = 22;
    this.strokes = [];
    this.stroke = null; // the one that is being drawn
    this.near = -Infinity; // when a pen was last on or above the sheet
    this.under = null; // the picture
    this.file = null; // of the picture, which the browser perhaps cannot show
    this.onchange = () => {};
    for (const [name, answer] of Object.entries(ANSWERS)) canvas.addEventListener(name, (event) => {
      if (event.pointerType === "pen") this.near = event.timeStamp;
      this[answer](event);
    });
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => { if (this.stroke?.kind === "keys") this.lift(); });
    this.at = [canvas.width / 2, canvas.height / 4];
    this.draw();
  }

  get blank() { return !this.strokes.length && !this.file; }

  // The rectangle of the paper on the sheet: all of it, or that of the picture in its own proportions.
  get paper() {
    const { width: side } = this.canvas, { width, height } = this.under ?? this.canvas;
    const [w, h] = [width, height].map((length) => Math.max(1, Math.round((side * length) / Math.max(width, height))));
    return [(side - w) >> 1, (side - h) >> 1, w, h];
  }

  // A stroke belongs to the pointer that began it: a second finger would zigzag the first one's.
  down(event) {
    const { pointerType: kind, pointerId: pointer, timeStamp: now } = event;
    if (event.button || (kind === "touch" && now < this.near + PALM)) return;
    if (this.stroke && !(RANK[kind] > RANK[this.stroke.kind])) return;
    event.preventDefault();
    this.canvas.setPointerCapture(pointer);
    if (kind === "pen") this.strokes = this.strokes.filter((each) => each.kind !== "touch" || each.ended < now - PALM);
    this.begin({ kind, pointer, points: [this.place(event)] });
  }

  move(event) {
    if (!this.draws(event)) return;
    if (!(event.buttons & 1)) { this.up(event); return; } // released while another button is held, or unseen
    const events = event.getCoalescedEvents?.() ?? [];
    this.stroke.points.push(...(events.length ? events : [event]).map((each) => this.place(each)));
    this.changed();
  }

  // However it lost the pointer, with a pointerup or without.
  up(event) {
    if (!this.draws(event)) return;
    this.stroke.ended = event.timeStamp;
    this.lift();
  }

  // The system has taken the touch for a palm or a gesture of its own.
  cancel(event) {
    if (!this.draws(event)) return;
    this.strokes = this.strokes.filter((stroke) => stroke !== this.stroke);
    this.lift();
    this.changed();
  }

  draws(event) { return this.stroke?.pointer === event.pointerId; }

  begin(stroke) {
    this.lift();
    this.stroke = { width: this.width, ...stroke };
    this.strokes.push(this.stroke);
    this.cursor.classList.toggle("down", stroke.kind === "keys");
    this.changed();
  }

  lift() {
    this.stroke = null;
    this.cursor.classList.remove("down");
  }

  // The arrow keys move the pen, the space bar puts it down or lifts it.
  key(event) {
    const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1], " ": [0, 0] }[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const side = this.canvas.width, length = event.shiftKey ? 4 : 14, drawing = this.stroke?.kind === "keys";
    this.at = this.at.map((place, axis) => Math.max(0, Math.min(side, place + length * step[axis])));
    Object.assign(this.cursor.style, { left: `${(100 * this.at[0]) / side}%`, top: `${(100 * this.at[1]) / side}%` });
    if (event.key !== " ") {
      if (drawing) this.stroke.points.push(this.at);
      if (drawing) this.changed();
    } else if (!event.repeat) {
      if (drawing) this.lift();
      else if (!this.stroke) this.begin({ kind: "keys", points: [this.at] });
    }
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect(), scale = this.canvas.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  undo() {
    this.lift();
    if (this.strokes.length) this.strokes.pop();
    else this.under = this.file = null;
    this.changed();
  }

  clear() {
    this.lift();
    this.strokes = [];
    this.under = this.file = null;
    this.changed();
  }

  async show(file) {
    const picture = await shown(file);
    this.lift();
    Object.assign(this, { strokes: [], under: picture, file });
    this.draw();
    const greens = this.pen.getImageData(...this.paper).data.filter((_, place) => place % 4 === 1);
    this.dark = greens.reduce((sum, value) => sum + value) < 128 * greens.length;
    this.onchange();
  }

  changed() {
    this.draw();
    this.onchange();
  }

  draw() {
    this.canvas.parentElement.classList.toggle("unseen", Boolean(this.file && !this.under && !this.strokes.length));
    const { pen, paper, canvas: { width: side } } = this;
    pen.clearRect(0, 0, side, side);
    pen.save();
    pen.beginPath();
    pen.rect(...paper);
    pen.clip();
    pen.fillStyle = "#fff";
    pen.fillRect(...paper);
    if (this.under) pen.drawImage(this.under, ...paper);
    pen.lineCap = pen.lineJoin = "round";
    pen.strokeStyle = this.under && this.dark ? "#fff" : "#000";
    for (const { width, points } of this.strokes) {
      pen.lineWidth = width;
      pen.beginPath();
      pen.moveTo(points[0][0] + 0.1, points[0][1]); // a line of length 0 would not draw a dot
      for (const point of points) pen.lineTo(...point);
      pen.stroke();
    }
    pen.restore();
  }

  // With strokes the paper is sent without its surroundings, which would count as ink.
  picture() {
    const [left, top, width, height] = this.paper, part = Object.assign(document.createElement("canvas"), { width, height });
    part.getContext("2d", { willReadFrequently: true }).drawImage(this.canvas, -left, -top);
    return this.file && !this.strokes.length ? sent(this.file, this.under, part) : png(part);
  }
}
