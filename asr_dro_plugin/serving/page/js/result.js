// The recording that is shown: its player, its words, its downloads.
// The transcript has one listener of each kind, however many words it has; a word is found by its
// number, and only one of them is a stop of the Tab key.

const LEAD = 0.08; // seconds: sound begins a little before the first frame that says a word
const LINGER = 1; // seconds for which a word stays lit after its end, if none follows
const MEASURING = 2000; // milliseconds at most
const HANDS_OFF = 4000; // milliseconds without following after the reader has scrolled
const CALM = matchMedia("(prefers-reduced-motion: reduce)");

let shown = null; // the job
let pieces = [], spans = [], passage = null, unsure = 0; // what stands in the transcript
let lit = -1, stop = -1; // numbers of the word that is heard, and of the one that Tab reaches
let gone = false; // whether uncertain words are being gone through
let soundAddress = "", scrolledAt = 0;
let measuring = false; // whether the end of a sound is being looked for

function show(job) {
  if (shown === job) return;
  shown = job;
  $("result").hidden = $("skip").hidden = !job;
  document.body.classList.toggle("two", jobs.length > 0);
  setSound(job?.file);
  clearWords();
  if (!job) return;
  $("result-title").textContent = job.file.name;
  if (job.state === "done") showTranscript();
  else addPieces(piecesOf(job.words));
  refreshFacts();
}

// The sound's address is given back as soon as another takes its place.
function setSound(file) {
  const audio = $("audio");
  if (soundAddress) URL.revokeObjectURL(soundAddress);
  soundAddress = file ? URL.createObjectURL(file) : "";
  measuring = false;
  $("mute").hidden = true;
  audio.hidden = false;
  if (file) audio.src = soundAddress;
  else audio.removeAttribute("src");
  audio.load();
}

// A recording of the browser's own has no length in its header; looking for its end finds it, but
// not in every browser.
function findLength() {
  const audio = $("audio");
  if (audio.duration !== Infinity) return;
  measuring = true;
  const over = new AbortController();
  const end = () => {
    over.abort();
    measuring = false;
  };
  const back = () => {
    audio.currentTime = 0;
    audio.addEventListener("seeked", end, { signal: over.signal });
  };
  audio.addEventListener("durationchange", back, { once: true, signal: over.signal });
  setTimeout(end, MEASURING);
  audio.currentTime = 1e8;
}

function clearWords() {
  pieces = [];
  spans = [];
  passage = null;
  unsure = 0;
  lit = stop = -1;
  gone = false;
  $("transcript").replaceChildren();
}

// Words that are new, at the end.
function addPieces(added) {
  const page = document.createDocumentFragment();
  for (const piece of added) {
    if (!passage || breaksBefore(passage.pieces, piece)) page.append(newPassage(piece));
    const span = make("span", { "data-w": pieces.length, textContent: piece.text });
    if (piece.confidence < UNSURE) unsure += 1;
    if (piece.confidence < DOUBTFUL) span.className = "doubtful";
    else if (piece.confidence < UNSURE) span.className = "unsure";
    if (passage.pieces.length && !piece.glued) passage.text.append(" ");
    passage.text.append(span);
    passage.pieces.push(piece);
    pieces.push(piece);
    spans.push(span);
  }
  $("transcript").append(page);
  if (stop < 0 && spans.length) setStop(0);
}

function newPassage(first) {
  const text = make("p", { dir: "auto", lang: htmlLanguage(shown.language) });
  const at = make("button", {
    type: "button", className: "at", tabIndex: -1, textContent: clock(first.start),
    "aria-label": `Play from ${inWords(first.start)}`, "data-at": pieces.length,
  });
  passage = { text, pieces: [] };
  return make("div", { className: "passage" }, at, text);
}

// The whole transcript in place of what was shown while it came.
function showTranscript() {
  const { words, chars, language } = shown;
  const focused = stop >= 0 && document.activeElement === spans[stop] ? stop : -1;
  clearWords();
  addPieces(piecesOf(words, chars, language));
  if (focused >= 0 && spans.length) goTo(Math.min(focused, spans.length - 1));
  if (!words.length && shown.text) { // a model that tells no times
    $("transcript").append(make("p", { dir: "auto", lang: htmlLanguage(language), textContent: shown.text }));
  }
}

function refreshFacts() {
  const { state, language, seconds, model, words, text, file } = shown;
  const done = state === "done", empty = !words.length && !text;
  const facts = [language && languageName(language), seconds && clock(seconds), megabytes(file.size)];
  if (done) facts.push(model, pieces.length && counted(pieces.length, "word"), unsure && `${unsure.toLocaleString("en")} uncertain`);
  $("facts").textContent = facts.filter(Boolean).join(" · ");
  $("tools").hidden = empty && !isOpen(shown);
  $("tools").classList.toggle("later", !done); // their place is kept, so that nothing jumps
  for (const button of $("tools").querySelectorAll("[data-format=srt], [data-format=vtt]")) button.hidden = !words.length;
  $("legend").hidden = !pieces.length;
  $("follow-field").hidden = !pieces.length;
  $("next-unsure").hidden = !unsure;
  $("next-unsure").textContent = `Next uncertain (${unsure.toLocaleString("en")})`;
  $("nothing").hidden = !empty;
  $("nothing").textContent = statusOf(shown);
}

// ---- hearing and seeing

function secondsNow() {
  return $("audio").currentTime + LEAD + 0.001;
}

function light() {
  if (measuring) return;
  const time = secondsNow();
  let now = pieceAt(pieces, time);
  if (now >= 0 && time > Math.max(pieces[now].end, pieces[now].start) + LINGER) now = -1;
  if (now === lit) return;
  spans[lit]?.classList.remove("now");
  lit = now;
  if (lit < 0) return;
  spans[lit].classList.add("now");
  if (!$("audio").paused) follow(spans[lit]);
}

function follow(span) {
  if (!span || !$("follow").checked || Date.now() - scrolledAt < HANDS_OFF) return;
  const { top, bottom } = span.getBoundingClientRect();
  if (top > $("player").getBoundingClientRect().bottom && bottom < innerHeight - 40) return;
  span.scrollIntoView({ block: "center", behavior: CALM.matches ? "auto" : "smooth" });
}

function lightWhilePlaying() {
  light();
  if (!$("audio").paused) requestAnimationFrame(lightWhilePlaying);
}

// Play from a word.
function hear(number) {
  const audio = $("audio");
  audio.currentTime = Math.max(0, pieces[number].start - LEAD);
  setStop(number);
  light();
  audio.play().catch(() => {}); // a file that the browser cannot play: said below the player
}

// ---- the keyboard: one word is a stop of Tab; arrows move it

function setStop(number) {
  if (number === stop) return; // taking its tabindex off, even for a moment, would lose the focus
  const old = spans[stop];
  if (old) {
    for (const name of ["tabindex", "role", "title"]) old.removeAttribute(name);
  }
  stop = number;
  spans[stop].tabIndex = 0;
  spans[stop].setAttribute("role", "button");
  describe(spans[stop], stop);
}

function describe(span, number) {
  const { start, end, confidence } = pieces[number];
  const sure = confidence === undefined ? "" : `, ${Math.round(100 * confidence)} % sure`;
  span.title = `${clock(start)} (${start.toFixed(2)} to ${end.toFixed(2)} s)${sure}`;
}

function goTo(number) {
  setStop(number);
  spans[number].focus();
}

// The first word of the passage after or before the one of a word.
function passageStep(number, by) {
  const own = spans[number].closest(".passage");
  const first = Number(own.querySelector("[data-w]").dataset.w);
  if (by < 0 && number > first) return first;
  const other = by < 0 ? own.previousElementSibling : own.nextElementSibling;
  return other ? Number(other.querySelector("[data-w]").dataset.w) : number;
}

function keyInTranscript(event) {
  const number = Number(event.target.dataset.w);
  if (Number.isNaN(number) || event.ctrlKey || event.metaKey || event.altKey) return;
  const forward = getComputedStyle(event.target).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
  let next = number;
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") next += event.key === forward ? 1 : -1;
  else if (event.key === "ArrowDown") next = passageStep(number, 1);
  else if (event.key === "ArrowUp") next = passageStep(number, -1);
  else if (event.key === "Home") next = 0;
  else if (event.key === "End") next = spans.length - 1;
  else if (event.key === " " && !$("audio").paused) $("audio").pause();
  else if (event.key === "Enter" || event.key === " ") hear(number);
  else return;
  event.preventDefault();
  if (next !== number && spans[next]) goTo(next);
}

function clickInTranscript(event) {
  if (!getSelection().isCollapsed) return; // text is being selected, to be copied
  const { w, at } = event.target.dataset;
  const number = Number(w ?? at);
  if (Number.isNaN(number)) return;
  hear(number);
  spans[number].focus({ preventScroll: true }); // so that the keys go on from there
}

function toNextUnsure() {
  const from = stop || gone ? stop : -1; // the first word may be one, too
  const after = pieces.findIndex((piece, n) => n > from && piece.confidence < UNSURE);
  goTo(after >= 0 ? after : pieces.findIndex((piece) => piece.confidence < UNSURE));
  gone = true;
}

// ---- taking it away

function plainText(job) {
  const made = passagesOf(piecesOf(job.words, job.chars, job.language)).map(textOf);
  return made.length ? made.join("\n\n") : job.text;
}

function asJson(job) {
  const rounded = (unit) => ({
    text: unit.text, start: Number(unit.start.toFixed(3)), end: Number(unit.end.toFixed(3)),
    confidence: Number(unit.confidence.toFixed(4)),
  });
  const { model, language, seconds, text } = job;
  return `${JSON.stringify({
    file: job.file.name, model, language: language || null, duration: seconds, text, words: job.words.map(rounded),
  }, null, 1)}\n`;
}

const FORMATS = {
  txt: [(job) => `${plainText(job)}\n`, "text/plain"],
  srt: [(job) => srt(job.words, job.chars), "application/x-subrip"],
  vtt: [(job) => vtt(job.words, job.chars), "text/vtt"],
  json: [asJson, "application/json"],
};

function download(format) {
  const [content, type] = FORMATS[format];
  const address = URL.createObjectURL(new Blob([content(shown)], { type: `${type};charset=utf-8` }));
  const stem = shown.file.name.replace(/\.[^.]{1,5}$/, "") || "transcript";
  make("a", { href: address, download: `${stem}.${format}` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000); // the download has begun by then
  announce(`${format.toUpperCase()} file saved`);
}

async function copyText() {
  try {
    await navigator.clipboard.writeText(plainText(shown));
    announce("Copied");
    $("copy").textContent = "Copied";
    setTimeout(() => { $("copy").textContent = "Copy"; }, 2000);
  } catch {
    fault("The browser does not let this page copy. Select the text and copy it.");
  }
}

function startResult() {
  const audio = $("audio"), transcript = $("transcript");
  audio.addEventListener("play", lightWhilePlaying);
  for (const name of ["timeupdate", "pause"]) audio.addEventListener(name, light);
  audio.addEventListener("seeked", () => {
    light();
    follow(spans[lit]);
  });
  audio.addEventListener("loadedmetadata", findLength);
  audio.addEventListener("error", () => {
    if (!audio.getAttribute("src")) return;
    audio.hidden = true;
    $("mute").hidden = false;
  });
  transcript.addEventListener("click", clickInTranscript);
  transcript.addEventListener("keydown", keyInTranscript);
  transcript.addEventListener("mouseover", ({ target }) => {
    if (target.dataset.w !== undefined && !target.title) describe(target, Number(target.dataset.w));
  });
  for (const name of ["wheel", "touchmove"]) {
    addEventListener(name, () => { scrolledAt = Date.now(); }, { passive: true });
  }
  for (const button of $("tools").querySelectorAll("[data-format]")) {
    button.addEventListener("click", () => download(button.dataset.format));
  }
  $("unsure-below").textContent = 100 * UNSURE;
  $("doubtful-below").textContent = 100 * DOUBTFUL;
  $("next-unsure").addEventListener("click", toNextUnsure);
  $("copy").hidden = !navigator.clipboard; // which browsers keep for https and localhost
  $("copy").addEventListener("click", copyText);
  $("print").addEventListener("click", () => print());
}
