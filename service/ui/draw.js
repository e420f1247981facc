// Numbers as pixels.

// Paints one value a pixel; colour gives red, green, blue and opacity, 0-255.
export function paint(canvas, values, colour) {
  const pen = canvas.getContext("2d"), picture = pen.createImageData(canvas.width, canvas.height);
  values.forEach((value, place) => picture.data.set(colour(value), 4 * place));
  pen.putImageData(picture, 0, 0);
}

// The bytes and form of an array as the service packs it.
export function unpack({ shape, low, high, data }) {
  return { shape, low, high, bytes: Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)) };
}

// Blue below zero, orange above, by strength: for weights, which have a sign.
export function signed(value, strongest) {
  const strength = Math.min(1, Math.abs(value) / (strongest || 1));
  const [r, g, b] = value < 0 ? [0, 114, 178] : [213, 94, 0];
  return [255 - (255 - r) * strength, 255 - (255 - g) * strength, 255 - (255 - b) * strength, 255];
}
