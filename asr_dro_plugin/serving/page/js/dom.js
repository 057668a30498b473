// Small things that every part uses.

const $ = (id) => document.getElementById(id);

// An element of a tag with properties and children; `data` and `aria-...` become attributes.
function make(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.includes("-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

// Seconds as 0:07, 12:34 or 1:02:03.
function clock(seconds) {
  const whole = Math.floor(seconds + 1e-6);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const [hours, minutes, rest] = parts.map(String);
  const tail = rest.padStart(2, "0");
  return parts[0] ? `${hours}:${minutes.padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

// Seconds in words, for limits and screen readers: "4 hours", "2 minutes 5 seconds".
function inWords(seconds) {
  const whole = Math.round(seconds);
  const parts = [[Math.floor(whole / 3600), "hour"], [Math.floor(whole / 60) % 60, "minute"], [whole % 60, "second"]];
  const said = parts.filter(([count]) => count).map(([count, unit]) => `${count} ${unit}${count === 1 ? "" : "s"}`);
  return said.join(" ") || "0 seconds";
}

function megabytes(bytes) {
  const size = bytes / 1e6;
  return `${size < 10 ? Math.max(size, 0.1).toFixed(1) : Math.round(size).toLocaleString("en")} MB`;
}

function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

// Said once by screen readers; what moves (progress, a countdown) is not said here.
function announce(text) {
  $("status").textContent = text;
}

// The name of a language by its ISO 639-3 code, as the browser knows it, else the code.
const NAMES = new Intl.DisplayNames(["en"], { type: "language", fallback: "code" });
function languageName(code) {
  try {
    return NAMES.of(code);
  } catch {
    return code;
  }
}

// The code as HTML's `lang` wants it ("eng" is "en" there), "" for what it does not know.
function htmlLanguage(code) {
  try {
    return code ? Intl.getCanonicalLocales(code)[0] : "";
  } catch {
    return "";
  }
}
