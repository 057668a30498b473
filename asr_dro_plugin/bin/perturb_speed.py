"""Stage 2: a data directory with copies at other speeds; stage 3 applies the factors."""

import logging

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.errors import UserError, run_main


def get_parser() -> Parser:
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("--data_dir", required=True, help="Kaldi data directory of stage 1")
    add("--out_dir", required=True, help="the directory to write")
    add("--factors", default="0.9 1.0 1.1", help="speeds; 1.0 keeps an utterance and its id")
    return parser


def parse_factors(words: str) -> list[str]:
    """Distinct speeds, as written: the ids carry the user's own spelling.

    Raises:
        UserError: not a number, outside 0.5..2, or given twice.
    """
    factors: list[str] = []
    for word in words.replace(",", " ").split():
        try:
            value = float(word)
        except ValueError:
            value = 0.0
        if not 0.5 <= value <= 2:
            raise UserError(f"--factors has '{word}'. Give speeds from 0.5 to 2, as '0.9 1.0 1.1'.")
        if value in map(float, factors):
            raise UserError(f"--factors has {word} twice. Give each speed once.")
        factors.append(word)
    if not factors:
        raise UserError("--factors is empty. Give speeds, for example '0.9 1.0 1.1'.")
    return factors


def perturb(data_dir: str, out_dir: str, factors: list[str]) -> None:
    """Write ``out_dir`` with one copy of every utterance for each factor, and ``utt2speed``.

    Ids and speakers of a copy begin with ``sp<factor>-``: a voice at another speed counts as
    another speaker.  Recordings keep their ids; with segments only the utterances multiply.
    """
    from pathlib import Path

    from asr_dro_plugin.base.kaldi_io import read_table, write_table
    from asr_dro_plugin.data.utt_tables import CARRIED, UttTables

    keyed = "segments" if Path(data_dir, "segments").is_file() else "wav.scp"
    required = ["utt2spk", "utt2lang", "utt2category", keyed]
    data = UttTables.read(data_dir, required, optional=(*CARRIED, "utt2dur"))
    tables: dict[str, dict[str, str]] = {name: {} for name in [*data.tables, "utt2speed"]}
    for factor in factors:
        prefix = "" if float(factor) == 1 else f"sp{factor}-"
        for name, table in data.tables.items():
            tables[name].update(
                {prefix + u: _of_copy(name, v, factor, prefix) for u, v in table.items()}
            )
        tables["utt2speed"].update(dict.fromkeys((prefix + u for u in data.utt_ids), factor))
    if keyed == "segments":
        write_table(Path(out_dir, "wav.scp"), read_table(Path(data_dir, "wav.scp")))
    else:
        Path(out_dir, "segments").unlink(missing_ok=True)
    out = UttTables(Path(out_dir), tables)
    out.write(out_dir, out.utt_ids)
    logging.info("%s: %d utterances at %d speeds", out_dir, len(out.utt_ids), len(factors))


def _of_copy(name: str, value: str, factor: str, prefix: str) -> str:
    """A table's value for a copy: its speaker is another, and it is shorter or longer."""
    if name == "utt2dur" and prefix:
        return f"{float(value) / float(factor):.3f}"
    return prefix + value if name == "utt2spk" else value


def main(argv: list[str] | None = None) -> None:
    """Write the perturbed directory."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s: %(message)s")
    perturb(args.data_dir, args.out_dir, parse_factors(args.factors))


if __name__ == "__main__":
    run_main(main)
