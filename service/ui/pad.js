// The sheet: strokes, which can be undone, over an optional picture.
import { decode } from "./draw.js";

export class Pad {
  constructor(canvas) {
    this.canvas = canvas;
    this.cursor = canvas.nextElementSibling;
    this.pen = canvas.getContext("2d", { willReadFrequently: true });
    this.width = 22;
    this.strokes = [];
    this.under = null;
    this.onchange = () => {};
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.go(event));
    for (const end of ["pointerup", "pointercancel", "blur"]) canvas.addEventListener(end, (event) => this.end(event));
    canvas.addEventListener("keydown", (event) => this.key(event));
    this.at = [canvas.width / 2, canvas.height / 4];
    this.draw();
  }

  get blank() { return !this.strokes.length && !this.under; }

  // The rectangle of the paper on the sheet: all of it, or that of the picture in its own proportions.
  get paper() {
    const { width: side } = this.canvas, { width, height } = this.under ?? this.canvas;
    const [w, h] = [width, height].map((length) => Math.max(1, Math.round((side * length) / Math.max(width, height))));
    return [(side - w) >> 1, (side - h) >> 1, w, h];
  }

  begin(event) {
    if (event.button || !event.isPrimary) return; // a second finger would zigzag the first one's stroke
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    this.stroke = { width: this.width, points: [this.place(event)] };
    this.strokes.push(this.stroke);
    this.changed();
  }

  go(event) {
    if (!this.stroke || !event.isPrimary) return;
    const events = event.getCoalescedEvents?.() ?? [];
    this.stroke.points.push(...(events.length ? events : [event]).map((each) => this.place(each)));
    this.changed();
  }

  end(event) {
    if (event.isPrimary !== false) this.stroke = null;
  }

  // The arrow keys move the pen, the space bar puts it down or lifts it.
  key(event) {
    const [right, down] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key] ?? [0, 0];
    if (event.key !== " " && !right && !down) return;
    event.preventDefault();
    const side = this.canvas.width, step = event.shiftKey ? 4 : 14;
    this.at = [this.at[0] + step * right, this.at[1] + step * down].map((place) => Math.max(0, Math.min(side, place)));
    if (event.key === " ") this.stroke = this.stroke ? null : { width: this.width, points: [] };
    Object.assign(this.cursor.style, { left: `${(100 * this.at[0]) / side}%`, top: `${(100 * this.at[1]) / side}%` });
    this.cursor.classList.toggle("down", Boolean(this.stroke));
    if (!this.stroke) return;
    if (!this.stroke.points.length) this.strokes.push(this.stroke);
    this.stroke.points.push(this.at);
    this.changed();
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect(), scale = this.canvas.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  undo() {
    if (this.strokes.length) this.strokes.pop();
    else this.under = null;
    this.changed();
  }

  clear() {
    this.strokes = [];
    this.under = null;
    this.changed();
  }

  async show(file) {
    const picture = await createImageBitmap(file);
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

  // A file without strokes is sent unchanged, so that the answer is the API's. Otherwise the paper is sent as a PNG,
  // without its surroundings, which would count as ink; not by toBlob, which waits until the browser is idle.
  picture() {
    if (this.under && !this.strokes.length && ["image/png", "image/jpeg"].includes(this.file.type)) return this.file;
    const [left, top, width, height] = this.paper, part = Object.assign(document.createElement("canvas"), { width, height });
    part.getContext("2d", { willReadFrequently: true }).drawImage(this.canvas, -left, -top);
    return decode(part.toDataURL("image/png").split(",")[1]);
  }
}
