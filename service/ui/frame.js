// In place of the sheet where pictures are not drawn: one picture, opened or taken.
import { decode } from "./draw.js";

const LONGEST = 1024; // pixels of a picture that the service cannot read and that is therefore sent as a PNG

export class Frame {
  constructor(canvas) {
    this.canvas = canvas;
    this.onchange = () => {};
    this.clear();
  }

  get blank() { return !this.file; }

  async show(file) {
    const picture = await createImageBitmap(file), factor = Math.min(1, LONGEST / Math.max(picture.width, picture.height));
    const [width, height] = [picture.width, picture.height].map((length) => Math.max(1, Math.round(length * factor)));
    this.file = file;
    this.canvas.parentElement.classList.remove("empty");
    Object.assign(this.canvas, { width, height }).getContext("2d").drawImage(picture, 0, 0, width, height);
    this.onchange();
  }

  undo() { this.clear(); }

  clear() {
    this.file = null;
    this.canvas.parentElement.classList.add("empty");
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.onchange();
  }

  // A PNG or JPEG is sent unchanged, so that the answer is the API's.
  picture() {
    if (["image/png", "image/jpeg"].includes(this.file.type)) return this.file;
    return decode(this.canvas.toDataURL("image/png").split(",")[1]);
  }
}
