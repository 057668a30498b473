"""``asr-dro tune-lm``: find a language model's weights on a dev set, for each language.

The emissions of the set are computed once and decoded again with each alpha (lm_weight) and beta
(word_score): all pairs of a grid, then the points between the best and its neighbours, then other
blank penalties (blank_penalty) in the best place.  A language gets weights of its own where it has
enough text and held-out utterances say that they are better, and keeps the joint ones otherwise.
Beside the tuned configuration lie all trials (.json), a picture (.png) and, for a comparison, the
joint weights alone (_joint.yaml); a command that was stopped goes on after its last trial.
"""

import argparse
import logging
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.base.loading import loading
from asr_dro_plugin.base.overwrite import add_overwrite, refuse_earlier
from asr_dro_plugin.base.quiet_terminal import quiet_import
from asr_dro_plugin.decoding import lm_tuning
from asr_dro_plugin.decoding.build import decoder_for
from asr_dro_plugin.decoding.command_line import Request, add_model_options, model_of
from asr_dro_plugin.decoding.lm_tuning import EmissionStore, Plan
from asr_dro_plugin.decoding.options import KEYS, read_decode_config
from asr_dro_plugin.errors import SomeLeftOut, UserError, run_main
from asr_dro_plugin.lm import by_language, grid_plot
from asr_dro_plugin.lm import grid as lm_grid
from asr_dro_plugin.text.normalizers import KINDS

EPILOG = """Uses:
  asr-dro tune-lm --exp exp/asr_X --config conf/decode_asr_lm_word.yaml --lm_dir lm \\
      --data_dir dump/raw/dev_X --out tuned.yaml
"""


def get_parser() -> Parser:
    parser = Parser(prog="asr-dro tune-lm", description=__doc__, epilog=EPILOG)
    add_model_options(parser.add_argument_group("the model"))
    add = parser.add_argument_group("what is decoded, and how").add_argument
    add("--config", required=True, help="configuration of mode lm (conf/decode_asr_lm_word.yaml)")
    add("--data_dir", type=Path, required=True, help="dumped dev set, e.g. dump/raw/dev_prompts")
    add("--lm_dir", required=True, help="folder of language models")
    add("--out", type=Path, required=True, help="the tuned configuration (YAML)")
    search = parser.add_argument_group("what is tried")
    add = search.add_argument
    add("--alphas", type=_numbers, default=lm_grid.ALPHAS, help="'0 0.5 1'")
    add("--betas", type=_numbers, default=lm_grid.BETAS, help="'-1 0 1'")
    add("--penalties", type=_numbers, default=lm_grid.PENALTIES, help="of the blank: '0 1'")
    add("--trials", type=int, help="so many points spread over the ranges, instead of a grid")
    add("--criterion", choices=lm_grid.CRITERIA, default="macro_cer", help="what is made small")
    add("--text_norm", default="lower_no_punct",
        help=f"what is done to both texts before scoring: {KINDS}")  # fmt: skip
    search.add_switch("--strict", "stop at bad input")
    single = parser.add_argument_group("weights of single languages")
    single.add_switch("--by_language", "weights for each language too", default=True)
    add = single.add_argument
    add("--min_chars", type=int, default=by_language.MIN_CHARS,
        help="characters of references below which a language keeps the joint weights")  # fmt: skip
    add("--min_utts", type=int, default=by_language.MIN_UTTS, help="utterances, the same")
    add_overwrite(parser)
    return parser


def _numbers(words: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(word) for word in words.replace(",", " ").split())
    except ValueError:
        numbers = ()
    if not numbers or not all(abs(number) < 1e3 for number in numbers):
        raise argparse.ArgumentTypeError(f"'{words}' is no list of numbers such as '0 0.5 1'")
    return numbers


def checked(args: argparse.Namespace) -> Request:
    """The model and its decoder, before the model is loaded."""
    if not args.out.with_suffix(".json").exists():  # no trials beside it: it is no tuning's
        refuse_earlier([args.out, lm_tuning.joint_path(args.out)], args.overwrite)
    config = read_decode_config(args.config)
    lm_tuning.refuse_untunable(config, args.config)
    if min(args.alphas) < 0:
        raise UserError(f"--alphas holds {min(args.alphas):g}. A weight is 0 or more.")
    most = KEYS["blank_penalty"].most
    if max(map(abs, args.penalties)) > most:
        raise UserError(f"--penalties go from -{most:g} to {most:g} natural logarithms.")
    if args.trials is not None and args.trials < 1:
        raise UserError(f"--trials {args.trials} tries nothing. Give 1 or more.")
    for name in ("min_chars", "min_utts"):
        if getattr(args, name) < 0:
            raise UserError(f"--{name} {getattr(args, name)} is below 0. Give 0 or more.")
    model = model_of(args)
    decoder = decoder_for(model.experiment, config, args.lm_dir, args.strict, args.config)
    return Request(model, config, decoder, args.lm_dir, args.strict)


def plan_of(args: argparse.Namespace) -> Plan:
    """What is tuned, and how far."""
    axes = args.alphas, args.betas, args.penalties
    search: lm_grid.Search = lm_grid.Grid(*axes)
    if args.trials:
        search = lm_grid.Spread(args.trials, tuple((min(axis), max(axis)) for axis in axes))
    floor = args.by_language, args.min_chars, args.min_utts
    return Plan(args.data_dir, args.text_norm, search, *floor)


def lines(trials: lm_grid.Trials, args: argparse.Namespace) -> Iterator[str]:
    """What was found."""
    yield from lm_grid.table(trials)
    best = trials.best
    yield (
        f"{args.out}: lm_weight {best.lm_weight:g}, word_score {best.word_score:g}, "
        f"blank_penalty {best.blank_penalty:g}"
    )
    if trials.is_flat:
        yield "All weights come to the same: the language model changes nothing here."
    for edge in trials.at_edge() if not trials.is_flat else ():
        yield f"The best lies at {edge} that was tried: a better one may lie beyond."
    if trials.choices:
        yield from lm_grid.table_by_language(trials)
        joint, together = (100 * trials.figure(each) for each in (best, trials.together))
        yield f"{trials.title}: {joint:.2f} % with joint weights, {together:.2f} % by language"
    elif args.by_language:
        yield "No weights by language: the model has no language tags (see lang: forced)."


def fill(request: Request, data_dir: Path, store: EmissionStore) -> dict[str, str]:
    """Compute the emissions of a set; the faults of those that have none."""
    with loading(f"{request.model.exp}/{request.model.file}"), quiet_import():
        import asr_dro_plugin.espnet  # noqa: F401  registers our classes
        from asr_dro_plugin.espnet.decode.stored_emissions import fill_store

    return fill_store(request, data_dir, store)


def main(argv: list[str] | None = None) -> int:
    """Tune, and say what was found."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s: %(message)s")
    request, plan = checked(args), plan_of(args)
    trials = lm_tuning.open_trials(request, plan, args.out, args.criterion)
    with tempfile.TemporaryDirectory(prefix="tune_lm.") as folder:
        store = EmissionStore(folder)
        faults = lm_tuning.tune(request, trials, plan, store, partial(fill, request, args.data_dir))
    trials.write()
    lm_tuning.write_tuned(request, trials, args.config, args.data_dir, args.out)
    grid_plot.draw(trials, args.out.with_suffix(".png"))
    print(*lines(trials, args), sep="\n")
    if faults:
        first = next(iter(faults))
        raise SomeLeftOut(
            f"{len(faults)} utterances of {args.data_dir} could not be decoded and counted as "
            f"empty (first: {first}: {faults[first]}). Mend or remove them."
        )
    return 0


if __name__ == "__main__":
    run_main(main)
