// Several digits: their boxes over the sheet, and the numbers that they form.
import { call } from "./service.js";

const get = (id) => document.getElementById(id);

export class Several {
  constructor(pad) { this.pad = pad; }

  // Reads the picture, and shows what it holds if that is more than one digit, and one of them certain. Where the whole
  // picture is certainly a single digit (a 4 in two parts), only digits that are all certain count.
  async ask(picture, signal, single) {
    try {
      const response = await call("read", { method: "POST", body: picture, headers: { "Content-Type": picture.type ?? "image/png" }, signal });
      const { numbers = [], width, height } = await response.json(), digits = numbers.flatMap((number) => number.digits);
      const doubtful = digits.filter((digit) => digit.doubtful).length, most = single ? 0 : digits.length - 1;
      if (digits.length < 2 || doubtful > most) { this.clear(); return; }
      this.frame(digits, width, height);
      this.list(numbers, doubtful, digits.length);
    } catch (error) {
      if (!signal.aborted && !(error instanceof TypeError)) throw error; // the service does not answer
      this.clear();
    }
  }

  // Each digit's box, in its place on the sheet, which may show the picture smaller.
  frame(digits, width, height) {
    const side = this.pad.canvas.width, [left, top, wide, high] = this.pad.paper.map((length) => (100 * length) / side);
    get("boxes").replaceChildren(...digits.map(({ box, label, doubtful }) => {
      const mark = document.createElement("i");
      mark.dataset.label = doubtful ? "?" : label;
      mark.classList.toggle("unsure", doubtful);
      Object.assign(mark.style, {
        left: `${left + (wide * box.left) / width}%`, top: `${top + (high * box.top) / height}%`,
        width: `${(wide * box.width) / width}%`, height: `${(high * box.height) / height}%`,
      });
      return mark;
    }));
  }

  list(numbers, doubtful, of) {
    const lines = [];
    for (const number of numbers) (lines[number.line] ??= []).push(number);
    get("numbers").replaceChildren(...lines.map((line) => {
      const item = document.createElement("li");
      item.textContent = line.map((number) => number.text).join("   ");
      return item;
    }));
    get("unsure").textContent = doubtful ? `A question mark stands for each doubtful digit: ${doubtful} of ${of}.` : "";
    get("several").hidden = false;
  }

  // The boxes are those of another picture as soon as it changes.
  unframe() { get("boxes").replaceChildren(); }

  clear() {
    this.unframe();
    get("several").hidden = true;
  }
}
