"""Audio that libsndfile does not read, decoded forwards by FFmpeg's libraries in the PyAV wheel.

Frames lie where the container's time stamps put them (``timeline``); what is between them is
silence.  A bad packet is silence of its own length, counted; see ``faults``.
"""

import io
import os
from collections.abc import Iterator
from itertools import chain

import numpy as np

from asr_dro_plugin.audio.declared import Declared
from asr_dro_plugin.audio.faults import MAX_LOST, AudioError, Losses
from asr_dro_plugin.audio.mixing import Mixer, cancelled_note, mean_of
from asr_dro_plugin.audio.packets import Lost, Packets, words_of
from asr_dro_plugin.audio.timeline import Timeline
from asr_dro_plugin.errors import how_to_install

RAW_FORMATS = {".g722": "g722"}  # no header: the name's ending is all there is to know
FROM_ZERO = {"matroska", "mov"}  # whose stamps count from the file's beginning
GAPS = 3.0  # a second, on average: more of them are no pauses (Opus leaves out 2.5 of silence)
CLOCK = 600.0  # seconds: stamps that begin later are a clock of their own, that of a live stream
MAX_GAP = 3600.0  # seconds of silence that a jump of the time stamps may mean
SHORT = 0.1  # seconds at either end that say nothing: stamps are rounded, padding is cut off
BLOCK = 1 << 20  # samples of silence made at a time


def raw_format(name: str) -> str | None:
    """FFmpeg's name of a headerless format, known by the file name's ending; None for others."""
    return RAW_FORMATS.get(os.path.splitext(name)[1].lower())


class AudioStream:
    """The first audio track of a file, decoded forwards by FFmpeg's libraries through PyAV.

    Args:
        name: of the file, for messages.
        source: the file.
        refusal: why libsndfile does not read it, for messages.
        formats: FFmpeg's names of the containers that may be read; empty for all.
    """

    def __init__(
        self, name: str, source: str | io.BytesIO, refusal: str, formats: tuple[str, ...] = ()
    ) -> None:
        self.name, self._source, self._allowed = name, source, formats
        try:
            import av
        except ImportError:
            raise AudioError(
                f"{name} needs FFmpeg's decoders, which are not here (libsndfile: {refusal}). "
                f"Convert it to WAV or FLAC, or: {how_to_install('media')}"
            ) from None
        self._av, self._refusal = av, refusal
        self._open()

    def _open(self) -> None:
        self._container = self._opened()
        stream = self._container.streams.audio[0]
        self.samplerate, self.channels = stream.codec_context.rate, stream.codec_context.channels
        self._formats = set(self._container.format.name.split(","))
        self.losses = Losses(self.name, self.samplerate)
        self._total: int | None = None  # samples there should be, once the end is reached
        self._declared = Declared(self._source, self._container, stream, self._formats)
        self._origin = self._zero(self._container.start_time) * self.samplerate
        self._tick = float(stream.time_base) * self.samplerate  # samples
        self._timeline = Timeline(self.samplerate, self._declared.is_chain)
        self._mixer = Mixer(self.channels, self.samplerate)
        holes = self._declared.holes()
        packets = Packets(self.name, self._container, stream, self._formats, holes)
        self._mono = self._blocks(packets)
        self._failure: AudioError | None = None
        self._held = np.zeros(0, np.float32)  # decoded, mono; may still be needed
        self._held_from = 0  # sample number of _held[0]

    def _opened(self):
        """PyAV's container, with a track of sound."""
        if not isinstance(self._source, str):
            self._source.seek(0)
        try:
            container = self._av.open(
                self._source, format=raw_format(self.name), options=self._options()
            )
        except (self._av.error.FFmpegError, ValueError) as error:
            raise self._undecodable(error) from None
        try:
            lack = self._lack_of(container)
        except (self._av.error.FFmpegError, ValueError) as error:
            container.close()
            raise self._undecodable(error) from None
        if lack:
            container.close()
            raise AudioError(f"{self.name} has {lack}. Correct its path, or leave it out.")
        return container

    def _options(self) -> dict[str, str]:
        """FFmpeg's: a playlist may name any address, and is no sound; no file opens another."""
        names = ",".join(self._allowed)
        return {"protocol_whitelist": "file", **({"format_whitelist": names} if names else {})}

    def _lack_of(self, container) -> str:
        """What an open container lacks to be decoded; its decoder is open after."""
        if not container.streams.audio:
            return "no audio track"
        context = container.streams.audio[0].codec_context
        if context is None:
            return "audio of a kind that FFmpeg does not know"
        context.open(strict=False)
        return "" if context.rate and context.channels else "no sample rate or channels"

    def _undecodable(self, error: Exception) -> AudioError:
        return AudioError(
            f"{self.name} cannot be decoded, neither by libsndfile ({self._refusal}) nor by "
            f"FFmpeg ({words_of(error)}). Convert it to WAV or FLAC, or leave it out."
        )

    def _zero(self, start_time: int | None) -> float:
        """The time stamp in seconds that is the file's beginning."""
        start = (start_time or 0) / self._av.time_base
        if not self._formats & FROM_ZERO or start <= SHORT:
            return start
        if start <= CLOCK:
            return 0.0
        self.losses.say(f"begins at {start:.2f} s of its clock, from where times are counted")
        return start

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    @property
    def declared_seconds(self) -> float | None:
        """Seconds by the word of the container; None where it has none, or FFmpeg guesses."""
        return self._declared.seconds

    def blocks(self) -> Iterator[np.ndarray]:
        """All samples in blocks (N,) float32, as they are decoded.

        Raises:
            AudioError: the file is damaged, more than a reader may go over.
        """
        waiting: list[np.ndarray] = []
        num_waiting = 0
        while (block := self._next()) is not None:
            waiting.append(block)
            num_waiting += len(block)
            if num_waiting >= self.samplerate:
                yield np.concatenate(waiting)
                waiting, num_waiting = [], 0
        self.losses.check(0, self._total)
        if num_waiting:
            yield np.concatenate(waiting)

    def count(self) -> int:
        """Samples up to the end, by decoding: a container's own duration is rounded or a guess."""
        for _ in self._mono:
            pass
        self.losses.check(0, self._total)
        return self._timeline.end

    def read(self, first: int, last: int | None) -> np.ndarray:
        """(N,) float32 from sample ``first`` to ``last``; going back starts over.

        Raises:
            AudioError: the file is damaged, more than a reader may go over.
        """
        if first < self._held_from:
            self.close()
            self._open()
        held = self._up_to(first, last)
        keep = min(max(0, first - self._held_from), len(held))
        if last is None:  # nothing comes after it: do not hold a whole recording twice
            self._held, self._held_from = np.zeros(0, np.float32), self._held_from + len(held)
            found = held[keep:]
        else:
            self._held, self._held_from = held[keep:], self._held_from + keep
            found = self._held[: max(0, last - self._held_from)].copy()
        self.losses.check(first, first + len(found))
        if self._total is not None:
            self.losses.check(0, self._total)
        return found

    def _up_to(self, first: int, last: int | None) -> np.ndarray:
        """All that is held once ``last`` is decoded; what ends before ``first`` is forgotten."""
        blocks, held_to = [self._held], self._held_from + len(self._held)
        while last is None or held_to < last:
            if (block := self._next()) is None:
                break
            held_to += len(block)
            if held_to <= first:  # before the stretch: forget it at once
                blocks, self._held_from = [], held_to
            else:
                blocks.append(block)
        return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)

    def _next(self) -> np.ndarray | None:
        """The next block, None at the end; what failed once fails each time."""
        if self._failure:
            raise self._failure
        try:
            return next(self._mono, None)
        except AudioError as error:
            self._failure = error
            raise

    def _blocks(self, packets: Packets) -> Iterator[np.ndarray]:
        """Decoded blocks (N,), silence included, to the end."""
        before = None
        for event in chain(packets, [None]):
            if before is not None:
                yield from self._placed(before, event)
            before = event
        self._account(packets)
        yield self._mixer.rest()
        if self._mixer.num_cancelled:
            seconds = self._mixer.num_cancelled / self.samplerate
            self.losses.say(cancelled_note(seconds))

    def _placed(self, event, after) -> Iterator[np.ndarray]:
        """A frame or a lost packet, with the silence before it."""
        if isinstance(event, Lost):
            self.losses.add(self._timeline.end, event.length, 1)
            self._timeline.skip(event.length)
            yield from self._silence(event.length)
            return
        place = self._timeline.end
        at, following = self._stamp(event), self._stamp(after)
        silence, left_out = self._timeline.place(at, event.samples, following)
        if silence:
            self._note_gap(place, silence)
            yield from self._silence(silence)
        yield self._mixer.add(self._channels(event)[:, left_out:])

    def _stamp(self, event) -> int | None:
        """The time stamp in samples, of a container that has its own."""
        if event is None or event.pts is None or self._declared.counts_alone:
            return None
        return round(event.pts * self._tick - self._origin)

    def _note_gap(self, place: int, length: int) -> None:
        seconds = length / self.samplerate
        if seconds > MAX_GAP:
            raise AudioError(
                f"{self.name} has a jump of {seconds:.0f} s in its time stamps, at "
                f"{place / self.samplerate:.2f} s. Cut it apart there, or convert it to WAV."
            )
        if not self._declared.is_whole:
            self._refuse_lossless(place)
            self.losses.add(place, length)
        elif seconds > SHORT:
            self.losses.add_gap(place, length)

    def _refuse_lossless(self, place: int) -> None:
        if "flac" in self._formats:
            raise AudioError(
                f"{self.name} is damaged at {place / self.samplerate:.2f} s (FFmpeg: frames are "
                "missing). Copy it again, or leave it out."
            )

    def _silence(self, length: int) -> Iterator[np.ndarray]:
        for start in range(0, length, BLOCK):
            width = min(BLOCK, length - start)
            yield self._mixer.add(np.zeros((self.channels, width), np.float32))

    def _channels(self, frame) -> np.ndarray:
        """(C, N) float32 of a decoded frame; one with other channels than the first is mixed."""
        block = _frame_to_channels(frame)
        if len(block) == self.channels:
            return block
        return np.tile(mean_of(block), (self.channels, 1))

    def _account(self, packets: Packets) -> None:
        """What came against what the container says.

        Raises:
            AudioError: the time stamps run at another rate than the samples.
        """
        end, steps = self._timeline.end, self._timeline.steps_back
        seconds = end / self.samplerate
        often = self.losses.num_gaps > max(seconds * GAPS, 10)
        if often or self._timeline.num_crowded > max(MAX_LOST * end, self.samplerate):
            raise AudioError(
                f"{self.name} has time stamps that contradict its sample rate "
                f"({self.samplerate} Hz). Convert it to WAV, or leave it out."
            )
        if steps and "ogg" not in self._formats:  # one stream after the other is its way
            self.losses.say(
                f"has time stamps that begin anew {steps} times; each part follows on the last"
            )
        if repeated := self._timeline.num_repeated:
            seconds = repeated / self.samplerate
            self.losses.say(f"holds {seconds:.2f} s a second time, which are left out")
        if packets.num_strange:
            self.losses.say(f"has {packets.num_strange} packets that are no sound")
        origin = round(self._origin) if self._formats & FROM_ZERO else 0
        short = self._declared.short_of(end + origin, packets.num_samples)
        if short > SHORT * self.samplerate:
            self.losses.say(f"ends {short / self.samplerate:.2f} s before its header says")
            self.losses.add(end, short)
            end += short
        self._total = end


def _frame_to_channels(frame) -> np.ndarray:
    """(C, N) float32 of a decoded frame, whatever its sample format."""
    array = frame.to_ndarray()
    if not frame.format.is_planar:
        array = array.reshape(-1, len(frame.layout.channels)).T
    if array.dtype == np.uint8:
        return (array.astype(np.float32) - 128) / 128
    if array.dtype.kind == "i":
        return array.astype(np.float32) / -np.float32(np.iinfo(array.dtype).min)
    return array.astype(np.float32, copy=False)
