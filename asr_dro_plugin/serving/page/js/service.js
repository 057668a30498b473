// All that is asked of the service.  Addresses are relative: a proxy may show it below a path.

const MOST_SECONDS_TO_WAIT = 60, USUAL_SECONDS_TO_WAIT = 5;
const LIMITS = JSON.parse($("facts-of-service").textContent); // maxBytes, maxSeconds, needsKey, formats, recorded
let apiKey = ""; // in memory alone

function authorisation() {
  return apiKey ? { Authorization: `Bearer ${apiKey}` } : {};
}

// The JSON of an address; throws an Error with the service's words, `status` and, of an answer,
// `seconds` after which to ask again.
async function fetchJson(address) {
  let answer;
  try {
    answer = await fetch(address, { headers: authorisation(), cache: "no-store" });
  } catch {
    throw Object.assign(new Error(UNREACHABLE), { status: 0 });
  }
  const text = await answer.text();
  if (!answer.ok) {
    const seconds = secondsToWait(answer.headers.get("Retry-After"));
    throw Object.assign(new Error(wordsOf(text, answer.status)), { status: answer.status, seconds });
  }
  return JSON.parse(text);
}

const UNREACHABLE = "The service does not answer. Is it running, and are you still connected?";

// What an answer says of an error: the service's own words, else what its number means.
function wordsOf(text, status) {
  try {
    const { error, detail } = JSON.parse(text);
    const message = typeof error === "string" ? error : error?.message ?? detail;
    if (typeof message === "string" && message) return message;
  } catch { /* no JSON: a proxy's answer */ }
  if (status === 413) return "The file is too large for this service.";
  if (status === 502 || status === 504) return "The service behind this address does not answer.";
  return `The service answers ${status}.`;
}

function secondsToWait(header) {
  const asked = Number(header);
  return Math.min(asked >= 1 ? Math.ceil(asked) : USUAL_SECONDS_TO_WAIT, MOST_SECONDS_TO_WAIT);
}

// Send a recording; `told` hears {sent} (0..1), then each event of the service.  The promise is
// always kept: {kind: "done" | "failed" | "busy" | "lost" | "cancelled", ...}.
// XMLHttpRequest, for fetch does not tell how much of a body is sent.
function transmit(file, fields, told, signal) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest(), form = new FormData();
    for (const [name, value] of fields) form.append(name, value);
    form.append("stream", "true");
    form.append("file", file, file.name);
    let seen = 0, last = null, sent = false;

    const read = () => { // whole lines that are new
      if (request.status !== 200) return;
      const text = request.responseText;
      for (let end; (end = text.indexOf("\n", seen)) >= 0; seen = end + 1) {
        if (end === seen) continue;
        try {
          last = JSON.parse(text.slice(seen, end));
        } catch {
          continue; // broken on the way: without a last event the end says so
        }
        told(last);
      }
    };
    const finish = () => {
      if (request.status === 503 || request.status === 429) {
        resolve({ kind: "busy", seconds: secondsToWait(request.getResponseHeader("Retry-After")), message: wordsOf(request.responseText, request.status) });
      } else if (request.status !== 200) {
        resolve({ kind: "failed", status: request.status, message: wordsOf(request.responseText, request.status) });
      } else {
        read();
        if (last?.type === "done") resolve({ kind: "done", event: last });
        else if (last?.type === "failed") resolve({ kind: "failed", status: last.status, message: last.message });
        else resolve({ kind: "lost", sent });
      }
    };
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) told({ sent: event.loaded / event.total });
    });
    request.upload.addEventListener("load", () => { sent = true; told({ sent: 1 }); });
    request.addEventListener("progress", read);
    request.addEventListener("load", finish);
    request.addEventListener("error", () => resolve({ kind: "lost", sent }));
    request.addEventListener("abort", () => resolve({ kind: "cancelled" }));
    signal.addEventListener("abort", () => request.abort());
    request.open("POST", "transcribe");
    for (const [name, value] of Object.entries(authorisation())) request.setRequestHeader(name, value);
    request.send(form);
  });
}
