// A picture's file: what the browser can show of it, and what is sent of it.
import { decode } from "./draw.js";

const READ = document.getElementById("file").accept.split(","); // the formats that the service reads

// The file's picture, or null if only the service can say what it shows.
export async function shown(file) {
  try { return await createImageBitmap(file); } catch { return null; }
}

// The file itself, so that the answer is the API's, unless only the browser can read it: then what the canvas shows.
export function sent(file, visible, canvas) {
  if (READ.includes(file.type)) return file;
  return visible ? png(canvas) : file.slice(0, file.size, "application/octet-stream"); // its name may have lied about its type
}

// Not by toBlob, which waits until the browser is idle.
export function png(canvas) { return decode(canvas.toDataURL("image/png").split(",")[1]); }
