// The sheet: strokes, kept so that they can be undone, or a picture laid under them.
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

  // The arrow keys move the pen, the space bar puts it down and lifts it.
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
    this.strokes = [];
    this.under = picture;
    this.changed();
  }

  changed() {
    this.draw();
    this.onchange();
  }

  draw() {
    const { pen, canvas: { width: side } } = this;
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, side, side);
    if (this.under) {
      const scale = Math.min(side / this.under.width, side / this.under.height);
      const [w, h] = [this.under.width * scale, this.under.height * scale];
      pen.drawImage(this.under, (side - w) / 2, (side - h) / 2, w, h);
    }
    pen.lineCap = pen.lineJoin = "round";
    pen.strokeStyle = "#000";
    for (const { width, points } of this.strokes) {
      pen.lineWidth = width;
      pen.beginPath();
      pen.moveTo(points[0][0] + 0.1, points[0][1]); // a line of no length would draw no dot
      for (const point of points) pen.lineTo(...point);
      pen.stroke();
    }
  }

  // As a PNG, at once: toBlob would wait until the browser is idle.
  picture() { return decode(this.canvas.toDataURL("image/png").split(",")[1]); }
}
