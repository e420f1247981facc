// In place of the sheet where pictures are not drawn: one picture, opened or taken.
import { sent, shown } from "./picture.js";

const LONGEST = 1024; // pixels of a picture that the service cannot read and that is therefore sent as a PNG

export class Frame {
  constructor(canvas) {
    this.canvas = canvas;
    this.onchange = () => {};
    this.clear();
  }

  get blank() { return !this.file; }

  async show(file) {
    const picture = await shown(file);
    this.clear();
    Object.assign(this, { file, visible: Boolean(picture) });
    this.canvas.parentElement.classList.remove("empty");
    this.canvas.parentElement.classList.toggle("unseen", !picture);
    if (picture) this.paint(picture);
    this.onchange();
  }

  paint(picture) {
    const factor = Math.min(1, LONGEST / Math.max(picture.width, picture.height));
    const [width, height] = [picture.width, picture.height].map((length) => Math.max(1, Math.round(length * factor)));
    Object.assign(this.canvas, { width, height }).getContext("2d").drawImage(picture, 0, 0, width, height);
  }

  undo() { this.clear(); }

  clear() {
    this.file = null;
    this.canvas.parentElement.classList.remove("unseen");
    this.canvas.parentElement.classList.add("empty");
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.onchange();
  }

  picture() { return sent(this.file, this.visible, this.canvas); }
}
