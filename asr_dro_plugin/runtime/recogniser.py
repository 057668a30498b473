"""``Recogniser``: an exported model that transcribes paths, bytes and samples, without torch."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.blocks import AudioBlocks
from asr_dro_plugin.audio.files import resample
from asr_dro_plugin.audio.regions import one_region, speech_regions_of
from asr_dro_plugin.base.settings import check_word
from asr_dro_plugin.decoding.abs_decoder import AbsDecoder
from asr_dro_plugin.decoding.build import build_decoder
from asr_dro_plugin.decoding.language import FORCED, FREE
from asr_dro_plugin.decoding.options import read_decode_config
from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.runtime.folder import ExportedModel, open_folder
from asr_dro_plugin.runtime.manifest import Manifest
from asr_dro_plugin.runtime.session import OnnxRecogniser
from asr_dro_plugin.transcribing.recordings import AUTO_CHUNK
from asr_dro_plugin.transcribing.streaming import SoFar, stream
from asr_dro_plugin.transcribing.transcriber import Transcriber, TranscriberSettings
from asr_dro_plugin.transcripts.transcript import Transcript

Audio = str | os.PathLike | bytes | BinaryIO | np.ndarray | Iterable[np.ndarray]
Language = str | Sequence[str] | None
BLOCK = 10 * SAMPLE_RATE  # samples of an array that are given at a time


class Recogniser:
    """An exported model (``asr-dro export --to onnx``) at work.

    It may be used by several threads at once.

    Args:
        path: the folder, or its zip.
        decode: a decoding configuration (a mapping or a YAML's path); None is the folder's own.
        lm_dir: folder of language models for mode lm; None is the folder's own.
        threads: of the model's computations.
        precision: fp32, int8 …; None is the folder's default.
        vad: whether only speech is decoded, where a call does not say.

    Raises:
        UserError: the folder is not whole, or not what this version and onnxruntime read; a
            configuration or a language model that does not suit it.  Nothing has been loaded then.

    Attributes:
        manifest: the model's facts.
        model: what gives the log probabilities (``AbsRecogniser``).
        config: the decoding configuration, all keys.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        decode: Mapping[str, Any] | str | os.PathLike | None = None,
        lm_dir: str | os.PathLike | None = None,
        threads: int = 1,
        precision: str | None = None,
        vad: bool = False,
    ) -> None:
        folder = open_folder(path)
        self.manifest: Manifest = folder.manifest
        where = f"{folder.where}: decode" if decode is None else ""
        self.config = read_decode_config(self.manifest.decode if decode is None else decode, where)
        refuse_espnets_search(self.config)
        self.model = OnnxRecogniser(folder, precision, threads)
        self.decoder = decoder_of(folder, self.config, lm_dir)
        self.vad = vad

    def transcribe(
        self,
        audio: Audio,
        language: Language = None,
        vad: bool | None = None,
        times: bool = True,
        rate: int = SAMPLE_RATE,
    ) -> Transcript:
        """The transcript of a recording; arguments and errors as ``stream``.

        One that is too short for the model, or that it gives NaN for, has a ``fault`` and no text.
        """
        transcript = None
        for piece in self.stream(audio, language, vad, times, rate):
            transcript = piece.transcript
        return transcript

    def stream(
        self,
        audio: Audio,
        language: Language = None,
        vad: bool | None = None,
        times: bool = True,
        rate: int = SAMPLE_RATE,
        chars: bool = False,
    ) -> Iterator[SoFar]:
        """Transcribe step by step; whoever asks may stop at any time, and all is freed.

        Args:
            audio: a path, the bytes of a file, a binary file object, samples (N,) float in -1..1,
                or blocks of samples at ``SAMPLE_RATE`` (``AudioBlocks``).
            language: ``free`` (the model names it), an ISO 639-3 code, or several of which it names
                one; None is the configuration's.
            vad: whether only speech is decoded (times stay those of the recording); None is the
                recogniser's.  Without any, 30 s are decoded as a whole, and more has no text.
            times: whether words have times and confidence.
            rate: samples a second of an array.
            chars: whether characters have times, too.

        Yields:
            Pieces, the last of which has the transcript.

        Raises:
            AudioError: audio that cannot be read.
            UserError: a language that the model does not know.
        """
        decoder, lang = self.of_language(language)
        transcriber = Transcriber(self.model, decoder, self._settings(times), lang)
        with _blocks_of(audio, rate) as blocks:
            name = getattr(blocks, "name", None) or "the audio"
            duration = getattr(blocks, "duration", None)
            only_speech = self.vad if vad is None else vad
            regions = speech_regions_of(blocks) if only_speech else one_region(blocks)
            yield from stream(transcriber, regions, name, duration, has_chars=chars)

    def transcriber(self, language: Language = None, times: bool | None = None) -> Transcriber:
        """What transcribes batches of recordings that are in memory, as an experiment's does.

        Args:
            language: as ``stream``'s.
            times: whether words and characters have times; None is as the configuration says.
        """
        decoder, lang = self.of_language(language)
        settings = TranscriberSettings.of(self.config)
        if times is not None:
            settings = replace(settings, times=times)
        if self.model.depends_on_company:  # one by one
            settings = replace(settings, batch_duration=1e-3)
        return Transcriber(self.model, decoder, settings, lang)

    def _settings(self, times: bool) -> TranscriberSettings:
        config = {**self.config, "times": times}
        if config["chunk_length"] is None and self.model.exact_frames:
            config["chunk_length"] = min(AUTO_CHUNK, self.model.longest or AUTO_CHUNK)
        return TranscriberSettings.of(config)

    def of_language(self, language: Language) -> tuple[AbsDecoder, str | None]:
        """The decoder that finds these languages alone, and the one that is given.

        Raises:
            UserError: a language that the model does not know.
        """
        if language is None:
            return self.decoder, self.decoder.language.only
        rule = " ".join([language] if isinstance(language, str) else language)
        if not rule or rule == FORCED:
            raise UserError(f"language is '{rule}'. Give free, or codes such as eng.")
        if self.decoder.language.tags or rule == FREE:
            return self.decoder.of_one_language(rule), None if " " in rule else rule
        for code in rule.split():
            if code not in self.manifest.languages:
                known = " ".join(self.manifest.languages)
                raise UserError(
                    f"The model knows no language '{code}'."
                    f"{suggestion(code, self.manifest.languages)} Known: {known}."
                )
        return self.decoder, None if " " in rule else rule


def refuse_espnets_search(config: Mapping[str, Any]) -> None:
    """Refuse a configuration of ESPnet's own search, which an exported model does not have."""
    check_word("mode of an exported model", config["mode"], ("greedy", "beam", "lm"))


def decoder_of(
    folder: ExportedModel, config: Mapping[str, Any], lm_dir: str | os.PathLike | None
) -> AbsDecoder:
    """The decoder of a configuration; the folder's own language models where none are given."""
    manifest = folder.manifest
    if lm_dir is None and config["mode"] == "lm" and manifest.lm_dir is not None:
        names = [name for name in manifest.members if name.startswith(manifest.lm_dir + "/")]
        lm_dir = folder.path(names) / manifest.lm_dir
    return build_decoder(config, manifest.tokens, manifest.token_type, manifest.blank_id, lm_dir)


def _blocks_of(audio: Audio, rate: int):
    """A context that gives blocks (N,) float32 at ``SAMPLE_RATE``."""
    if isinstance(audio, np.ndarray):
        return nullcontext(_ArrayBlocks(audio, rate))
    is_file = isinstance(audio, str | os.PathLike | bytes | bytearray | memoryview)
    if is_file or hasattr(audio, "read"):
        return AudioBlocks(audio)
    return nullcontext(audio)  # blocks, which are closed by whoever opened them


class _ArrayBlocks:
    """Samples as blocks."""

    def __init__(self, samples: np.ndarray, rate: int) -> None:
        if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
            raise UserError(
                f"The samples are {samples.dtype} {samples.shape}. Give one channel, float32 (N,) "
                "in -1..1."
            )
        if not np.isfinite(samples).all():
            raise UserError("The samples hold values that are no numbers. Read the audio anew.")
        if rate <= 0:
            raise UserError(f"rate is {rate}. Give the samples a second.")
        self._samples = resample(samples.astype(np.float32, copy=False), rate, SAMPLE_RATE)
        self.duration = len(self._samples) / SAMPLE_RATE

    def __iter__(self) -> Iterator[np.ndarray]:
        for first in range(0, len(self._samples), BLOCK):
            yield self._samples[first : first + BLOCK]
