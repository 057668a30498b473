// Recording with the browser's microphone.

// The first that a browser records, of those that the service reads.  Firefox would record WebM as
// well, but cannot seek in it.
const recordedKind = () => LIMITS.recorded.find((each) => MediaRecorder.isTypeSupported(each));
const EXTENSION = { "audio/webm": "webm", "audio/mp4": "m4a", "audio/ogg": "ogg" };
const REFUSALS = {
  NotAllowedError: "The microphone is blocked for this page. Allow it beside the address, then press Record again.",
  NotFoundError: "This device has no microphone.",
  NotReadableError: "Another program is using the microphone. Close it, then press Record again.",
};

let recorder = null; // {media, stream, context, begun, chunks, timer}

// Why this browser cannot record here, "" if it can.
function noMicrophone() {
  if (!isSecureContext) {
    return "Recording needs an https:// address, or http://localhost on the machine itself: on any other "
      + "address browsers keep the microphone from a page. Files can be chosen all the same.";
  }
  if (!navigator.mediaDevices || !window.MediaRecorder) return "This browser cannot record. Files can be chosen all the same.";
  if (!recordedKind()) return "This browser records in no format that this service reads. Files can be chosen all the same.";
  return "";
}

function sayAboutMicrophone(text) {
  $("microphone").textContent = text;
  $("microphone").hidden = !text;
}

async function startRecording() {
  if (recorder || $("record").getAttribute("aria-disabled")) return;
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
  } catch (error) {
    const reason = REFUSALS[error.name] ?? `The microphone cannot be used: ${error.message}`;
    sayAboutMicrophone(reason);
    announce(reason);
    return;
  }
  sayAboutMicrophone("");
  const media = new MediaRecorder(stream, { mimeType: recordedKind() });
  recorder = { media, stream, context: new AudioContext(), begun: performance.now(), chunks: [], keep: false };
  media.addEventListener("dataavailable", ({ data }) => recorder.chunks.push(data));
  media.addEventListener("stop", endRecording);
  stream.getAudioTracks()[0].addEventListener("ended", () => stopRecording(true)); // unplugged
  media.start(1000);
  listen();
  swapRecordButtons(true);
  announce("Recording");
  $("stop").focus();
}

// The time and the loudness, a few times a second.
function listen() {
  const meter = recorder.context.createAnalyser();
  meter.fftSize = 1024;
  recorder.context.createMediaStreamSource(recorder.stream).connect(meter);
  const samples = new Float32Array(meter.fftSize);
  recorder.timer = setInterval(() => {
    const seconds = (performance.now() - recorder.begun) / 1000;
    meter.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, each) => sum + each * each, 0) / samples.length;
    $("level").value = 1 + (10 * Math.log10(power + 1e-9)) / 60; // from -60 dB to full scale
    $("recorded").textContent = clock(seconds);
    if (seconds >= LIMITS.maxSeconds - 1) stopRecording(true);
  }, 120);
}

function stopRecording(keep) {
  if (!recorder || recorder.media.state === "inactive") return;
  recorder.keep = keep;
  recorder.media.stop();
}

function endRecording() {
  const { media, stream, context, chunks, timer, keep } = recorder;
  clearInterval(timer);
  stream.getTracks().forEach((track) => track.stop());
  context.close();
  recorder = null;
  swapRecordButtons(false);
  $("record").focus();
  if (!keep) {
    announce("Recording discarded");
    return;
  }
  const type = media.mimeType.split(";")[0];
  const time = new Date().toLocaleString("sv").replace(/:/g, "."); // 2026-12-31 13.45.00
  addFiles([new File(chunks, `Recording ${time}.${EXTENSION[type] ?? "webm"}`, { type })]);
}

function swapRecordButtons(isRecording) {
  $("recording").hidden = !isRecording;
  $("invitation").textContent = isRecording ? "Recording" : "Drop recordings here";
  $("record").hidden = $("choose").hidden = isRecording;
  $("recorded").textContent = "0:00";
  $("level").value = 0;
}

function startRecord() {
  const reason = noMicrophone();
  if (reason) $("record").setAttribute("aria-disabled", "true");
  sayAboutMicrophone(reason);
  $("record").addEventListener("click", startRecording);
  $("stop").addEventListener("click", () => stopRecording(true));
  $("discard").addEventListener("click", () => stopRecording(false));
}
