// Requests to the service, with its key if it asks for one; the key is kept until the tab closes.
const KEY = "digitline key";
const get = (id) => document.getElementById(id);
let given; // while the dialog is open, what all requests that need the key wait for

export async function call(path, options = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = key ? { ...options.headers, Authorization: `Bearer ${key}` } : options.headers;
  const response = await fetch(`../${path}`, { ...options, headers });
  if (response.status !== 401) return response;
  if (sessionStorage.getItem(KEY) === key) await (given ??= ask(key));
  return call(path, options);
}

// Opens the dialog, which only a key closes.
function ask(refused) {
  get("refused").hidden = !refused;
  get("entrance").showModal();
  get("entrance").oncancel = (event) => event.preventDefault();
  return new Promise((resolve) => {
    get("enter").onsubmit = () => {
      sessionStorage.setItem(KEY, get("key").value.trim());
      get("key").value = "";
      given = undefined;
      resolve();
    };
  });
}
