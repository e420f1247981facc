// The camera: on phones their own, elsewhere a viewfinder with a shutter.
const get = (id) => document.getElementById(id);

// Calls `open` with each picture taken, `trouble` with a sentence if there is no camera.
export function camera(open, trouble) {
  const video = get("video"), viewfinder = get("viewfinder"), touch = matchMedia("(pointer: coarse)").matches;
  get("phone").hidden = !touch;
  get("camera").hidden = touch || !navigator.mediaDevices; // browsers offer it to pages of this machine and of https
  get("shot").onchange = (event) => { open(event.target.files[0]); event.target.value = ""; };
  get("camera").onclick = async () => {
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      viewfinder.showModal();
    } catch {
      trouble("There is no camera that this page may use; open a picture instead.");
    }
  };
  get("shutter").onclick = () => take(video, (file) => { viewfinder.close(); open(file); });
  get("away").onclick = () => viewfinder.close();
  viewfinder.onclose = () => { for (const track of video.srcObject.getTracks()) track.stop(); };
}

function take(video, done) {
  const { videoWidth: width, videoHeight: height } = video, canvas = Object.assign(document.createElement("canvas"), { width, height });
  if (!width) return; // it has no picture yet
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob(done, "image/jpeg", 0.95);
}
