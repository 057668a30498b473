// Recordings in the order in which they came: checked, sent a few at a time, shown as they go on.
// A job's state: waiting, sending, working, held (the service is busy), done, failed, cancelled.

const AT_ONCE = 2; // more would keep others waiting
const MOST_TRIES = 30; // of a service that is full
const MOST_BROKEN = 4; // uploads that break off
const LOOK_SECONDS = 4; // for the browser to tell the length of a file

const jobs = [];
let heldUntil = 0; // milliseconds; nothing is sent before
let ticking = 0; // the countdown's timer

function addFiles(files) {
  fault("");
  const added = [...files].map(newJob);
  if (!added.length) return;
  $("queue").hidden = false;
  for (const job of added) {
    jobs.push(job);
    $("jobs").append(job.card);
    const problem = problemOf(job.file);
    if (problem) refuse(job, problem);
  }
  if (!shown || ["done", "failed", "cancelled"].includes(shown.state)) show(added[0]);
  const waiting = added.filter((job) => job.state === "waiting").length;
  if (waiting) announce(`${counted(waiting, "recording")} added`);
  for (const job of added) refresh(job);
  pump();
}

function newJob(file) {
  const name = make("button", { type: "button", className: "name", dir: "auto", textContent: file.name, title: "Show it" });
  const state = make("p", { className: "state", dir: "auto" });
  const bar = make("progress", { max: 1, "aria-label": `Progress of ${file.name}` });
  const [stop, repeat, drop] = ["Cancel", "Try again", "Remove"].map((word) =>
    make("button", { type: "button", className: "quiet", textContent: word, "aria-label": `${word}: ${file.name}` }));
  const card = make("li", {}, name, make("div", { className: "row" }, stop, repeat, drop), bar, state);
  const job = {
    file, card, parts: { state, bar, stop, repeat, drop }, state: "waiting", options: optionsNow(), tries: 0, broken: 0,
    sent: 0, heard: 0, seconds: null, message: "", model: "", language: "", text: "", words: [], chars: [],
    stopper: null, refused: false,
  };
  name.addEventListener("click", () => { show(job); refreshAll(); toResult(); });
  repeat.title = "With the model and the language that are chosen now";
  stop.addEventListener("click", () => cancel(job));
  repeat.addEventListener("click", () => again(job));
  drop.addEventListener("click", () => remove(job));
  return job;
}

// On a phone the result stands below the list.
function toResult() {
  const result = $("result");
  result.focus({ preventScroll: true });
  if (result.getBoundingClientRect().top > innerHeight / 2) {
    result.scrollIntoView({ behavior: CALM.matches ? "auto" : "smooth" });
  }
}

// Why a file is not sent at all, "" if it may be.
function problemOf(file) {
  if (!file.size) return "The file is empty, or a folder. Drop the recordings themselves.";
  if (file.size > LIMITS.maxBytes) {
    return `The file has ${megabytes(file.size)}; this service takes ${megabytes(LIMITS.maxBytes)} at most.`;
  }
  if (/^(image|text|font)\/|\/(pdf|zip|json|gzip|msword)$/.test(file.type)) {
    return `This is no recording (${file.type}).`;
  }
  return "";
}

// Seconds of a file, as far as the browser can tell, else null.
function lengthOfSound(file) {
  return new Promise((resolve) => {
    const probe = new Audio(), address = URL.createObjectURL(file);
    const end = () => {
      clearTimeout(timer);
      const { duration } = probe;
      probe.removeAttribute("src");
      URL.revokeObjectURL(address);
      resolve(Number.isFinite(duration) ? duration : null);
    };
    const timer = setTimeout(end, 1000 * LOOK_SECONDS);
    probe.addEventListener("loadedmetadata", end, { once: true });
    probe.addEventListener("error", end, { once: true });
    probe.preload = "metadata";
    probe.src = address;
  });
}

// Whether the browser still may and can read a file.
async function canRead(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

// ---- going on

function isOpen(job) {
  return ["waiting", "sending", "working", "held"].includes(job.state);
}

function pump() {
  if (Date.now() < heldUntil) return;
  const running = jobs.filter((job) => job.state === "sending" || job.state === "working").length;
  const next = jobs.filter((job) => job.state === "waiting" || job.state === "held");
  for (const job of next.slice(0, Math.max(0, AT_ONCE - running))) run(job);
}

async function run(job) {
  Object.assign(job, { state: "sending", sent: 0, heard: 0, message: "", text: "", words: [], stopper: new AbortController() });
  const { signal } = job.stopper;
  refresh(job);
  job.seconds ??= await lengthOfSound(job.file);
  const readable = await canRead(job.file);
  if (signal.aborted) return;
  if (!readable) {
    refuse(job, "The file cannot be read: it was moved, changed, or is a folder. Choose it again.");
  } else if (job.seconds > LIMITS.maxSeconds) {
    refuse(job, `The recording is ${inWords(job.seconds)} long; this service takes ${inWords(LIMITS.maxSeconds)} at most.`);
  } else {
    settle(job, await transmit(job.file, job.options, (event) => hearOf(job, event), signal));
  }
  pump();
}

// Each time the service, or the upload, has got on.
function hearOf(job, event) {
  if ("sent" in event) {
    job.sent = event.sent;
    if (event.sent === 1) job.state = "working";
  } else if (event.type === "partial") {
    job.state = "working";
    job.heard = event.seconds_done;
    job.seconds = event.duration ?? job.seconds;
    job.text = withoutTag(event.text); // none where words tell it
    job.words.push(...event.words);
    if (job === shown) addPieces(piecesOf(event.words));
  }
  refresh(job);
}

function settle(job, outcome) {
  if (outcome.kind === "done") finish(job, outcome.event);
  else if (outcome.kind === "busy") hold(job, outcome.seconds, outcome.message);
  else if (outcome.kind === "failed") fail(job, outcome.message, outcome.status);
  else if (outcome.kind === "lost") lose(job, outcome.sent);
}

function finish(job, { transcript, duration, model }) {
  const [best] = transcript.hypotheses;
  const isSilent = !withoutTag(best.text);
  Object.assign(job, {
    state: "done", seconds: duration ?? job.seconds, model, language: transcript.lang ?? "",
    text: withoutTag(best.text), words: best.words ?? [], chars: best.chars ?? [],
    message: isSilent ? `No speech was found${transcript.fault && `: ${transcript.fault}`}.` : "",
  });
  if (job === shown) showTranscript();
  refresh(job);
  announce(`${job.file.name}: ${isSilent ? job.message : "finished"}`);
}

// Not sent, and never will be.
function refuse(job, message) {
  job.refused = true;
  fail(job, message);
}

function fail(job, message, status = 0) {
  Object.assign(job, { state: "failed", message });
  refresh(job);
  announce(`${job.file.name}: ${message}`);
  if (status === 401) askForKey();
}

// The connection ended early.  A service that is full says so before it has read the body, and a
// browser that is still sending then may hear of nothing but the end: asked, and tried again.
async function lose(job, sent) {
  if (sent) {
    fail(job, "The connection ended before the transcript was whole.");
    return;
  }
  try {
    await fetchJson("healthz");
  } catch (error) {
    fail(job, error.message);
    return;
  }
  job.broken += 1;
  if (job.broken < MOST_BROKEN) hold(job, USUAL_SECONDS_TO_WAIT, "The upload broke off.");
  else fail(job, `The upload broke off ${MOST_BROKEN} times.`);
}

// The service has no room: all wait as long as it asks for, then go on in their order.
function hold(job, seconds, message) {
  job.tries += 1;
  if (job.tries >= MOST_TRIES) {
    fail(job, message);
    return;
  }
  Object.assign(job, { state: "held", message });
  heldUntil = Math.max(heldUntil, Date.now() + 1000 * seconds);
  refresh(job);
  if (job.tries === 1) announce(`${job.file.name}: the service is busy, trying again in ${seconds} seconds`);
  tick();
}

// The countdown, and the end of it.
function tick() {
  clearTimeout(ticking);
  jobs.filter((job) => job.state === "held").forEach(refresh);
  if (Date.now() >= heldUntil) pump();
  else ticking = setTimeout(tick, 250);
}

function cancel(job) {
  job.state = "cancelled";
  job.stopper?.abort();
  refresh(job);
  job.parts.repeat.focus();
  announce(`${job.file.name}: cancelled`);
  pump();
}

function again(job) {
  Object.assign(job, { state: "waiting", tries: 0, broken: 0, options: optionsNow() });
  if (job === shown) clearWords();
  refresh(job);
  job.parts.stop.focus();
  pump();
}

function remove(job) {
  jobs.splice(jobs.indexOf(job), 1);
  job.card.remove();
  if (shown === job) show(jobs.at(-1) ?? null);
  afterRemoval();
}

function removeFinished() {
  for (const job of jobs.filter((each) => !isOpen(each))) {
    jobs.splice(jobs.indexOf(job), 1);
    job.card.remove();
  }
  if (!jobs.includes(shown)) show(jobs[0] ?? null);
  afterRemoval();
}

function afterRemoval() {
  refreshAll();
  $("queue").hidden = !jobs.length;
  if (jobs.length) $("queue-title").focus();
  else $("choose").focus();
}

// ---- shown in the list

function statusOf(job) {
  const { state, sent, heard, seconds, message } = job;
  const size = [megabytes(job.file.size), seconds && clock(seconds)].filter(Boolean).join(" · ");
  const left = Math.max(1, Math.ceil((heldUntil - Date.now()) / 1000));
  const of = seconds ? ` of ${clock(seconds)}` : "";
  return {
    waiting: () => `Waiting · ${size}`,
    sending: () => `Sending, ${Math.floor(100 * sent)} % · ${size}`,
    working: () => (heard ? `Transcribing, ${clock(heard)}${of}` : `Transcribing … · ${size}`),
    held: () => `${message}\nTrying again in ${left} s.`,
    done: () => message || `Finished · ${size}`,
    failed: () => message,
    cancelled: () => "Cancelled",
  }[state]();
}

function refresh(job) {
  const { card, parts, state } = job;
  card.className = `job ${state}`;
  if (job === shown) card.setAttribute("aria-current", "true");
  else card.removeAttribute("aria-current");
  parts.state.textContent = statusOf(job);
  parts.bar.hidden = state !== "sending" && state !== "working";
  if (state === "sending") parts.bar.value = job.sent;
  else if (state === "working" && job.heard && job.seconds) parts.bar.value = Math.min(1, job.heard / job.seconds);
  else parts.bar.removeAttribute("value"); // no share of the whole is known
  parts.stop.hidden = !isOpen(job);
  parts.drop.hidden = isOpen(job);
  parts.repeat.hidden = job.refused || isOpen(job);
  parts.repeat.textContent = state === "done" ? "Again" : "Try again";
  parts.repeat.setAttribute("aria-label", `${parts.repeat.textContent}: ${job.file.name}`);
  $("clear").hidden = jobs.filter((each) => !isOpen(each)).length < 2;
  if (job === shown) refreshFacts();
}

function refreshAll() {
  jobs.forEach(refresh);
}
