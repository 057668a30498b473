"""Text of speech while it is said: raw sound from standard input, with an exported model."""

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.errors import UserError, run_main

if TYPE_CHECKING:
    from asr_dro_plugin.runtime.live.session import Event, LiveSession

PIECE = 1 << 13  # bytes read at a time, at most
EPILOG = """Uses:
  arecord -q -f S16_LE -r 16000 -c 1 -t raw | asr-dro live for_others
        a line an item, whose words come as they become stable
  ffmpeg -v error -i talk.mp3 -f s16le -ar 16000 -ac 1 - | asr-dro live for_others --silence 0.5
        a recording, as if it were said

Sound is 16 bits, little-endian, one channel, without a header.  Exit code: 0 the sound has ended,
1 bad input, 2 a wrong option.
"""


def get_parser() -> Parser:
    parser = Parser(prog="asr-dro live", description=__doc__, epilog=EPILOG)
    parser.add_argument("model", help="an exported folder or packed zip")
    parser.add_argument("--rate", type=int, default=16000, help="Hz, 16000 or 24000 (default: "
        "16000)")  # fmt: skip
    parser.add_argument("--lang", help="an ISO 639-3 code, several in quotes, or free (default: "
        "the model's own choice)")  # fmt: skip
    parser.add_argument("--silence", type=float, default=0.7, help="seconds of a pause that end an "
        "item (default: 0.7)")  # fmt: skip
    parser.add_argument("--threads", type=int, default=1, help="of the model's computations "
        "(default: 1)")  # fmt: skip
    return parser


def main(argv: list[str] | None = None) -> int:
    """Transcribe until the sound ends."""
    args = get_parser().parse_args(argv)
    source = sys.stdin.buffer
    if source.isatty():
        raise UserError("Standard input is a terminal. Send sound: asr-dro live --help shows how.")
    from asr_dro_plugin.runtime import Recogniser
    from asr_dro_plugin.runtime.live.session import LiveSession, TurnEnds

    turns = TurnEnds(args.silence)
    recogniser = Recogniser(args.model, threads=args.threads)
    languages = args.lang.split() if args.lang else None
    session = LiveSession.of(recogniser, languages, args.rate, turns)
    how = "as exact as a file's" if session.is_exact else "by windows"
    print(f"Listening ({how}); Ctrl-C or the end of the sound stops.", file=sys.stderr)
    for line in _said(_events(session, source)):
        print(line, end="", flush=True)
    return 0


def _events(session: "LiveSession", source: BinaryIO) -> "Iterator[Event]":
    """All events until the sound ends, or Ctrl-C, after which the last words are told."""
    try:
        while data := os.read(source.fileno(), PIECE):
            yield from session.feed(data)
    except KeyboardInterrupt:
        pass
    yield from session.commit()


def _said(events: "Iterator[Event]") -> Iterator[str]:
    """Pieces of the text: on a terminal words as they come, then the item in their place."""
    from asr_dro_plugin.runtime.live.session import Final, Interim

    is_shown, told = sys.stdout.isatty(), ""
    for event in events:
        if isinstance(event, Interim) and is_shown:
            told = " ".join([told, *(word.text for word in event.words)]).strip()
            yield f"\r\033[K{told[-200:]}"
        elif isinstance(event, Final):
            told = ""
            start = "\r\033[K" if is_shown else ""
            yield f"{start}{event.text}\n" if event.text else start


if __name__ == "__main__":
    run_main(main)
