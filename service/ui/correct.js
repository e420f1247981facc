// The correction: a click sends the right label, and the service keeps it.
import { call } from "./service.js";

const FEW = 12; // classes with a button each; more are in a list
const NONE = "none of these";
const get = (id) => document.getElementById(id);

export class Correction {
  constructor({ classes, corrections }) {
    this.offered = corrections;
    const buttons = (names) => names.map((name) => {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: name || NONE });
      button.onclick = () => this.send(name);
      return button;
    });
    get("labels").replaceChildren(...(classes.length > FEW ? [this.list(classes), ...buttons([""])] : buttons([...classes, ""])));
  }

  list(classes) {
    const list = Object.assign(document.createElement("select"), { ariaLabel: "The right class" });
    list.append(new Option("choose a class", ""), ...classes.map((name) => new Option(name)));
    list.onchange = () => { if (list.value) this.send(list.value); list.selectedIndex = 0; };
    return list;
  }

  // The image that the model received: rows of grey values or of [red, green, blue].
  show(image) {
    this.image = image;
    get("correct").hidden = !this.offered;
    get("kept").textContent = "";
  }

  clear() { get("correct").hidden = true; }

  async send(label) {
    const response = await call(`feedback?label=${encodeURIComponent(label)}`, {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: Uint8Array.from(this.image.flat(2)),
    });
    const answer = await response.json();
    get("kept").textContent = response.ok ? `Kept as ${label || NONE}. Thank you.` : `Not kept: ${answer.error}.`;
  }
}
