// Subtitles, cue for cue those of transcripts/subtitles.py (a test compares them).

const LINE_CHARS = 42, LINES = 2, MAX_CHARS = LINE_CHARS * LINES;
const MAX_SECONDS = 7, CUE_PAUSE = 0.7, MIN_SECONDS = 1;

const lengthOf = (text) => [...text].length; // in code points

// To whole milliseconds, halves to the even one.
function milliseconds(seconds) {
  const exact = 1000 * seconds, below = Math.floor(exact);
  return exact - below === 0.5 ? below + (below % 2) : Math.round(exact);
}

// Words; one too long for a line or a cue as its characters.
function cuePieces(words, chars) {
  let left = 0;
  return words.flatMap((word) => {
    const spelled = charactersOf(word, chars, left);
    left += spelled.length;
    const tooLong = lengthOf(word.text) > LINE_CHARS || word.end - word.start > MAX_SECONDS;
    const units = tooLong && spelled.length ? spelled : [word];
    return units.map((unit, n) => ({ ...unit, glued: n > 0 }));
  });
}

function cueText(pieces) {
  return pieces.map((piece) => (piece.glued ? "" : " ") + piece.text).join("").trim();
}

// On one line, or on two of like lengths; more only where nothing else fits.
function cueLines(pieces) {
  const text = cueText(pieces);
  if (lengthOf(text) <= LINE_CHARS) return [text];
  let best = null, width = Infinity;
  for (let cut = 1; cut < pieces.length; cut++) {
    const two = [cueText(pieces.slice(0, cut)), cueText(pieces.slice(cut))];
    const widest = Math.max(...two.map(lengthOf));
    if (widest < width) [best, width] = [two, widest];
  }
  if (width <= LINE_CHARS) return best;
  const lines = [];
  for (const piece of pieces) {
    if (lines.length && lengthOf(cueText([...lines.at(-1), piece])) <= LINE_CHARS) lines.at(-1).push(piece);
    else lines.push([piece]);
  }
  return lines.map(cueText);
}

function endsBefore(group, piece) {
  return piece.start - group.at(-1).end >= CUE_PAUSE
    || piece.end - group[0].start > MAX_SECONDS
    || lengthOf(cueText([...group, piece])) > MAX_CHARS
    || cueLines([...group, piece]).length > LINES;
}

// Cues {start, end, lines} in milliseconds, which never overlap.
function cues(words, chars = []) {
  const groups = [];
  for (const piece of cuePieces(words, chars)) {
    if (groups.length && !endsBefore(groups.at(-1), piece)) groups.at(-1).push(piece);
    else groups.push([piece]);
  }
  const starts = groups.map((group) => milliseconds(group[0].start));
  return groups.map((group, n) => {
    const start = starts[n], after = starts[n + 1];
    let end = Math.max(milliseconds(group.at(-1).end), start + 1000 * MIN_SECONDS);
    if (after !== undefined) end = Math.max(Math.min(end, after), start);
    return { start, end, lines: cueLines(group) };
  });
}

function stamp(time, point) {
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes, seconds] = [Math.floor(time / 3.6e6), Math.floor(time / 6e4) % 60, Math.floor(time / 1000) % 60];
  return `${two(hours)}:${two(minutes)}:${two(seconds)}${point}${String(time % 1000).padStart(3, "0")}`;
}

function srt(words, chars) {
  return cues(words, chars).map((cue, n) =>
    `${n + 1}\n${stamp(cue.start, ",")} --> ${stamp(cue.end, ",")}\n${cue.lines.join("\n")}\n\n`).join("");
}

function vtt(words, chars) {
  const escaped = (line) => line.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const blocks = cues(words, chars).map((cue) =>
    `${stamp(cue.start, ".")} --> ${stamp(cue.end, ".")}\n${cue.lines.map(escaped).join("\n")}`);
  return ["WEBVTT", ...blocks].map((block) => `${block}\n\n`).join("");
}
