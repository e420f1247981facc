// The correction: a click sends the right label, and the service keeps it.
const get = (id) => document.getElementById(id);

export class Correction {
  constructor({ classes, corrections }) {
    this.offered = corrections;
    get("labels").replaceChildren(...[...classes, ""].map((name) => {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: name || "no digit" });
      button.onclick = () => this.send(name);
      return button;
    }));
  }

  // The image [28][28] that the model received.
  show(image) {
    this.image = image;
    get("correct").hidden = !this.offered;
    get("kept").textContent = "";
  }

  clear() { get("correct").hidden = true; }

  async send(label) {
    const response = await fetch(`../feedback?label=${encodeURIComponent(label)}`, {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: Uint8Array.from(this.image.flat()),
    });
    const answer = await response.json();
    get("kept").textContent = response.ok ? `Kept as ${label || "no digit"}. Thank you.` : `Not kept: ${answer.error}.`;
  }
}
