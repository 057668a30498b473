// From what the service says to what is shown: pieces of text with times, in passages.
// A piece is {text, start, end, confidence, glued}: a word, or a part of a run of a script that
// writes no spaces, which is then glued to the piece before it.

// Confidence below which a word is marked.  Of a small model (five languages, 53 minutes of training)
// on its test set, 0.8 finds 72 % of the wrong words and marks 23 % of the right ones, 0.6 a fifth and 7 %.
const UNSURE = 0.8, DOUBTFUL = 0.6;
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tibetan}]/u;
const LONG_PAUSE = 1.5, PAUSE_TO_BREAK = 0.3; // seconds
const WORDS_TO_BREAK = 60, MOST_WORDS = 120; // in a passage

// Pieces of a transcript's words and characters (both {text, start, end, confidence}).
function piecesOf(words, chars = [], language = "") {
  const pieces = [];
  let left = 0;
  for (const word of words) {
    const spelled = charactersOf(word, chars, left);
    left += spelled.length;
    const split = spelled.length > 1 && UNSPACED.test(word.text);
    if (split) pieces.push(...segments(word, spelled, language));
    else pieces.push({ ...word, glued: false });
  }
  return pieces;
}

// The characters from `left` on, as many as spell the word; none if they spell something else.
function charactersOf(word, chars, left) {
  let spelled = "";
  for (let end = left; end < chars.length; ) {
    spelled += chars[end++].text;
    if (spelled.length >= word.text.length) return spelled === word.text ? chars.slice(left, end) : [];
  }
  return [];
}

// A run without spaces, cut where the browser's dictionary sees words.
function segments(word, chars, language) {
  const made = [];
  const rest = [...chars];
  for (const segment of cutUnspaced(word.text, language)) {
    const own = [];
    for (let spelled = ""; rest.length && spelled.length < segment.length; ) {
      own.push(rest.shift());
      spelled += own.at(-1).text;
    }
    if (!own.length) continue; // a character that spans two segments belongs to the first
    const sum = own.reduce((total, each) => total + Math.log(Math.max(each.confidence, 1e-9)), 0);
    made.push({
      text: own.map((each) => each.text).join(""), start: own[0].start, end: own.at(-1).end,
      confidence: Math.exp(sum / own.length), glued: made.length > 0,
    });
  }
  return made;
}

function cutUnspaced(text, language) {
  if (!Intl.Segmenter) return [...text]; // an old browser: each character for itself
  const cutter = new Intl.Segmenter(htmlLanguage(language) || undefined, { granularity: "word" });
  return [...cutter.segment(text)].map(({ segment }) => segment);
}

// Whether a new passage begins before a piece: at a long pause, or at some pause if it grows long.
function breaksBefore(passage, piece) {
  if (!passage.length || piece.glued) return false;
  const pause = piece.start - passage.at(-1).end;
  return pause >= LONG_PAUSE || passage.length >= MOST_WORDS
    || (passage.length >= WORDS_TO_BREAK && pause >= PAUSE_TO_BREAK);
}

function passagesOf(pieces) {
  const passages = [];
  for (const piece of pieces) {
    if (!passages.length || breaksBefore(passages.at(-1), piece)) passages.push([]);
    passages.at(-1).push(piece);
  }
  return passages;
}

function textOf(pieces) {
  return pieces.map((piece, n) => (n && !piece.glued ? " " : "") + piece.text).join("");
}

function withoutTag(text) {
  return text.replace(/^\[[a-z]{3}\](?: +|$)/, "");
}

// The last piece that begins at a time or before it, -1 if none does; starts never fall.
function pieceAt(pieces, time) {
  let low = 0, high = pieces.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (pieces[middle].start <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
