// Limits, models and languages; files that are chosen, dropped or pasted.

const SEVERAL = "several";
let models = [];

function fault(text) {
  $("fault").textContent = text;
  $("fault").hidden = !text;
}

// ---- what the service takes

function stateLimits() {
  const { maxBytes, maxSeconds, formats, needsKey } = LIMITS;
  $("limits").textContent = `Up to ${megabytes(maxBytes)} and ${inWords(maxSeconds)} each: ${formats}.`;
  $("key-field").hidden = !needsKey;
  if (!needsKey) askModels();
}

async function askModels() {
  try {
    models = (await fetchJson("v1/models")).data;
    fault("");
  } catch (error) {
    if (error.status === 401) askForKey();
    else setTimeout(askModels, 1000 * (error.seconds ?? USUAL_SECONDS_TO_WAIT)); // loading, or away
    fault(error.message);
    return;
  }
  const options = models.map(({ id }) => make("option", { value: id, textContent: id }));
  $("model").replaceChildren(...options);
  $("model-field").hidden = models.length < 2;
  $("served").textContent = models.length === 1 ? models[0].id : "";
  offerLanguages();
}

function askForKey() {
  $("key-field").hidden = false;
  $("key").focus();
}

function offerLanguages() {
  const { languages = [] } = models.find(({ id }) => id === $("model").value) ?? {};
  const known = languages.map((code) => [code, languageName(code)]).sort(([, a], [, b]) => a.localeCompare(b, "en"));
  $("language-field").hidden = known.length < 2;
  $("language").replaceChildren(
    make("option", { value: "", textContent: `Any of the ${known.length}: the model decides` }),
    ...known.map(([value, textContent]) => make("option", { value, textContent })),
    ...(known.length > 2 ? [make("option", { value: SEVERAL, textContent: "One of several …" })] : []),
  );
  $("languages").replaceChildren(...known.map(([value, name]) =>
    make("label", {}, make("input", { type: "checkbox", value }), ` ${name}`)));
  $("several").hidden = true;
}

// The form's fields as they are now, for a recording that is added now.
function optionsNow() {
  const fields = models.length ? [["model", $("model").value]] : [];
  const language = $("language-field").hidden ? "" : $("language").value;
  if (language === SEVERAL) {
    const chosen = [...$("languages").querySelectorAll(":checked")].map(({ value }) => value);
    if (chosen.length === 1) fields.push(["language", chosen[0]]);
    else fields.push(...chosen.map((code) => ["languages[]", code]));
  } else if (language) {
    fields.push(["language", language]);
  }
  return fields;
}

// ---- files

function acceptDrops() {
  const body = document.body;
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    body.classList.add("over");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) body.classList.remove("over");
  });
  addEventListener("drop", (event) => {
    body.classList.remove("over");
    if (!hasFiles(event)) return;
    event.preventDefault();
    addFiles(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) addFiles(event.clipboardData.files);
  });
}

$("form").addEventListener("submit", (event) => event.preventDefault());
$("choose").addEventListener("click", () => $("files").click());
$("files").addEventListener("change", () => {
  addFiles($("files").files);
  $("files").value = ""; // the same file may be chosen again
});
$("key").addEventListener("change", () => {
  apiKey = $("key").value.trim();
  if (apiKey) askModels();
});
$("model").addEventListener("change", offerLanguages);
$("language").addEventListener("change", () => { $("several").hidden = $("language").value !== SEVERAL; });
$("clear").addEventListener("click", removeFinished);
addEventListener("beforeunload", (event) => {
  if (recorder || jobs.some(isOpen)) event.preventDefault();
});

acceptDrops();
startRecord();
startResult();
stateLimits();
