// The sheet: strokes, kept so that they can be undone, or a picture laid under them.
export class Pad {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    this.width = 22;
    this.strokes = [];
    this.under = null;
    this.onchange = () => {};
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.go(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { this.stroke = null; });
    this.draw();
  }

  get blank() { return !this.strokes.length && !this.under; }

  begin(event) {
    if (event.button) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    this.stroke = { width: this.width, points: [this.place(event)] };
    this.strokes.push(this.stroke);
    this.changed();
  }

  go(event) {
    if (!this.stroke) return;
    const events = event.getCoalescedEvents?.() ?? [];
    this.stroke.points.push(...(events.length ? events : [event]).map((each) => this.place(each)));
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

  picture() { return new Promise((done) => this.canvas.toBlob(done, "image/png")); }
}
