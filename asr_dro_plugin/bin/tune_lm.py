"""``asr-dro tune-lm``: find a language model's weight and word score on a dev set.

The emissions of the set are computed once and decoded again with each alpha (lm_weight) and beta
(word_score): all pairs of a grid, then the points between the best and its neighbours.  Beside the
tuned configuration lie all trials (.json) and a picture (.png); a command that was stopped goes on
after its last trial.
"""

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import yaml

from asr_dro_plugin.base.arguments import Parser, boolean
from asr_dro_plugin.base.devices import device_of
from asr_dro_plugin.base.files import atomic_write, sha256_of
from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.decoding import parts as decode_parts
from asr_dro_plugin.decoding.command_line import check_lm_dir
from asr_dro_plugin.decoding.options import read_decode_config
from asr_dro_plugin.errors import SomeLeftOut, UserError, run_main
from asr_dro_plugin.experiment.model_files import best_model_file
from asr_dro_plugin.lm import grid as lm_grid
from asr_dro_plugin.text.normalizers import KINDS, recorded


def get_parser() -> Parser:
    """Options of the command."""
    parser = Parser(prog="asr-dro tune-lm", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--exp", required=True, help="trained experiment")
    add("--model_file", help="its model file (default: the average by its best_model_criterion)")
    add("--config", required=True, help="configuration of mode lm (conf/decode_asr_lm_word.yaml)")
    add("--data_dir", required=True, help="dumped dev set, e.g. dump/raw/dev_prompts")
    add("--lm_dir", required=True, help="folder of language models")
    add("--out", required=True, help="the tuned configuration (YAML)")
    add("--alphas", type=_numbers, default=lm_grid.ALPHAS, help="'0 0.5 1'")
    add("--betas", type=_numbers, default=lm_grid.BETAS, help="'-1 0 1'")
    add("--trials", type=int, help="so many points spread over the ranges, instead of a grid")
    add("--criterion", choices=lm_grid.CRITERIA, default="macro_cer", help="what is made small")
    add("--text_norm", default="lower_no_punct",
        help=f"what is done to both texts before scoring: {KINDS}")  # fmt: skip
    add("--strict", type=boolean, default=False, help="stop at bad input (default: false)")
    add("--ngpu", type=int, default=0, help="0: CPU, 1: GPU")
    return parser


def _numbers(words: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(word) for word in words.replace(",", " ").split())
    except ValueError:
        numbers = ()
    if not numbers or not all(abs(number) < 1e3 for number in numbers):
        raise argparse.ArgumentTypeError(f"'{words}' is no list of numbers such as '0 0.5 1'")
    return numbers


def check(args: argparse.Namespace) -> dict:
    """The configuration, before a model is loaded."""
    config = read_decode_config(args.config)
    if config["mode"] != "lm":
        raise UserError(
            f"{args.config} is of mode {config['mode']}, which has no alpha and beta. "
            "Give one of mode lm (conf/decode_asr_lm_word.yaml)."
        )
    check_lm_dir(config, args.lm_dir, args.config)
    if min(args.alphas) < 0:
        raise UserError(f"--alphas holds {min(args.alphas):g}. A weight is 0 or more.")
    if args.trials is not None and args.trials < 1:
        raise UserError(f"--trials {args.trials} tries nothing. Give 1 or more.")
    return config


def open_trials(args: argparse.Namespace, config: dict, model_file: str) -> lm_grid.Trials:
    """Trials so far, if they are of the same model, data and settings."""
    data_dir = Path(args.data_dir)
    rest = {k: v for k, v in config.items() if k not in ("lm_weight", "word_score")}
    source = decode_parts.source_of(Path(args.exp), model_file, rest, data_dir, args.lm_dir)
    source |= {"text": sha256_of(data_dir / "text"), "text_norm": recorded(args.text_norm)}
    return lm_grid.Trials(Path(args.out).with_suffix(".json"), source, args.criterion)


def tune(args, config, model_file, trials: lm_grid.Trials, folder: str) -> dict[str, str]:
    """Try what is not tried yet; returns utterances without emission and why."""
    from asr_dro_plugin.base.progress import Progress
    from asr_dro_plugin.decoding.build import build_decoder
    from asr_dro_plugin.decoding.emission_store import EmissionStore

    store, faults, loaded = EmissionStore(folder), {}, []

    def evaluate(point: lm_grid.Point) -> lm_grid.Trial:
        if not loaded:  # everything may be tried already
            recogniser, found = emissions(args, config, model_file, store)
            faults.update(found)
            build = partial(build_decoder, config, recogniser.tokens, recogniser.token_type)
            loaded.append(build(recogniser.model.blank_id, args.lm_dir, args.strict))
        loaded[0].models.reweigh(*point)
        return measure(args, config, store, loaded[0], point)

    num = args.trials or len(set(args.alphas)) * len(set(args.betas)) + 8
    with Progress(num, f"tune-lm {Path(args.data_dir).name}") as bar:
        shown = lambda trial: bar.advance(1, f"best {100 * trials.figure(trials.best):.2f} %")  # noqa: E731
        run = partial(lm_grid.run_points, num=num) if args.trials else lm_grid.run_grid
        run(trials, evaluate, alphas=args.alphas, betas=args.betas, on_trial=shown)
    return faults


def emissions(args, config, model_file, store):
    """The model, and the faults of what it could not be given; fills the store."""
    from asr_dro_plugin.base.quiet_terminal import quiet_import

    with quiet_import():
        import asr_dro_plugin.espnet  # noqa: F401  registers our classes
        from asr_dro_plugin.espnet.decode.inference import load_recogniser
        from asr_dro_plugin.espnet.decode.stored_emissions import store_emissions

        recogniser = load_recogniser(args.exp, model_file, device_of(args.ngpu))
    data_dir, title = Path(args.data_dir), f"emissions {Path(args.data_dir).name}"
    places = decode_parts.read_locations(data_dir, {})
    durations = decode_parts.read_durations(data_dir)
    faults = store_emissions(recogniser, store, places, durations, config["batch_duration"], title)
    if faults and args.strict:
        utt_id, fault = next(iter(faults.items()))
        raise UserError(f"{utt_id}: {fault} (--strict true).")
    if not len(store):
        raise UserError(f"No utterance of {data_dir} can be decoded. See the warnings above.")
    return recogniser, faults


def measure(args, config, store, decoder, point: lm_grid.Point) -> lm_grid.Trial:
    """Decode the set and score it."""
    from asr_dro_plugin.decoding.greedy import speller
    from asr_dro_plugin.scoring.error_rates import score
    from asr_dro_plugin.scoring.set_inputs import read_set_tables

    begin, hypotheses = time.monotonic(), {}
    data_dir, models = Path(args.data_dir), decoder.models
    spell = speller(models.tokens, models.token_type)
    langs = decode_parts.read_langs(data_dir, config["lang"] == "forced")
    for utt_ids, emission in store.batches(config["batch_duration"]):
        given = [langs.get(utt_id) for utt_id in utt_ids]
        for utt_id, paths in zip(utt_ids, decoder(emission, given), strict=True):
            hypotheses[utt_id] = spell(paths[0].ids)
    groups = decode_parts.language_table(data_dir)
    tables = read_set_tables(str(data_dir / "text"), str(groups) if groups else None)
    found = score(
        read_table(data_dir / "text"), hypotheses, tables.languages, args.text_norm,
        no_space=tables.no_space,
    )  # fmt: skip
    rates = found.macro("cer"), found.macro("wer"), found.rate(found.worst("cer"), "cer")
    return lm_grid.Trial(*point, *rates, round(time.monotonic() - begin, 3))


def write_tuned(args: argparse.Namespace, trials: lm_grid.Trials) -> None:
    """The configuration with the best weights; its first lines say where they come from."""
    given, best = load_config(args.config), trials.best
    tuned = {**given, "lm_weight": best.lm_weight, "word_score": best.word_score}
    names = [key for key in ("lm_weight", "word_score") if tuned[key] != given.get(key)]
    differs = f"differs from {Path(args.config).name} in {', '.join(names)}" if names else (
        f"the same as {Path(args.config).name}")  # fmt: skip
    head = (
        f"# Tuned on {Path(args.data_dir).name} with {Path(args.exp).name} and "
        f"{Path(args.lm_dir).name}; {differs}.\n"
        f"# {trials.title} {100 * trials.figure(best):.2f} %, the best of "
        f"{len(trials.done)} trials ({trials.path.name}).\n"
    )
    with atomic_write(args.out) as stream:
        stream.write(head + yaml.safe_dump(tuned, sort_keys=False, allow_unicode=True))


def main(argv: Sequence[str] | None = None) -> int:
    """Tune, and say what was found."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s: %(message)s")
    config, model_file = check(args), args.model_file or best_model_file(args.exp)
    device_of(args.ngpu)
    trials = open_trials(args, config, model_file)
    with tempfile.TemporaryDirectory(prefix="tune_lm.") as folder:
        faults = tune(args, config, model_file, trials, folder)
    trials.write()
    write_tuned(args, trials)
    lm_grid.draw(trials, Path(args.out).with_suffix(".png"))
    print(*lm_grid.table(trials), sep="\n")
    best = trials.best
    print(f"{args.out}: lm_weight {best.lm_weight:g}, word_score {best.word_score:g}")
    for edge in trials.at_edge():
        print(f"The best lies at {edge} that was tried: a better one may lie beyond.")
    if faults:
        first = next(iter(faults))
        raise SomeLeftOut(
            f"{len(faults)} utterances of {args.data_dir} could not be decoded and counted as "
            f"empty (first: {first}: {faults[first]}). Mend or remove them."
        )
    return 0


if __name__ == "__main__":
    run_main(lambda: main(sys.argv[1:]))
