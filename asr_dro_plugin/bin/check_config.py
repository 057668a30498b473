"""``asr-dro check-config``: refuse a configuration that cannot be trained or decoded with."""

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.decoding.options import read_decode_config
from asr_dro_plugin.errors import UserError, run_main
from asr_dro_plugin.experiment.model_files import check_model_file
from asr_dro_plugin.stack.check import read_config
from asr_dro_plugin.stack.needs import check_needs
from asr_dro_plugin.stack.overrides import join_asr_args
from asr_dro_plugin.stack.training_rules import warn_of_normalize


def main(argv: list[str] | None = None) -> int:
    """Check; says nothing when all is well, else one line and exit code 1."""
    args = _parser().parse_args(join_asr_args(argv))
    config = read_config(args.config, args.asr_args, ssl_checkpoint=args.ssl_checkpoint)
    if args.inference_config:
        read_decode_config(args.inference_config)
    check_outcome(config, args.config, args.model_file, args.build)
    return 0


def check_outcome(
    config: dict, where: str, model_file: str | None = None, build: bool = False
) -> None:
    """Refuse what lacks a package, does not leave the model to decode with, or does not build.

    Args:
        config: as ``read_config`` returns it, ``where`` its file.
        model_file: what is to be decoded with.
        build: whether to build each module, too.
    """
    check_needs(config, where)
    warn_of_normalize(config, where)
    if model_file:
        check_model_file(model_file, config, where)
    if not build:
        return
    from asr_dro_plugin.stack.frames import frame_counter
    from asr_dro_plugin.stack.summary import describe

    try:
        frame_counter(config)
        describe(config, vocab_size=None)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


EPILOG = """Uses:
  asr-dro check-config conf/train_asr_ctc_dro_mini.yaml --build
  asr-dro check-config conf/train_asr_X.yaml --inference_config conf/decode_asr_beam.yaml
"""


def _parser() -> Parser:
    parser = Parser(prog="asr-dro check-config", description=__doc__, epilog=EPILOG)
    add = parser.add_argument
    add("config", help="training configuration (YAML)")
    add("--inference_config", help="decoding configuration (YAML)")
    add("--model_file", help="model to decode with: will training make it?")
    add("--ssl_checkpoint", help="in place of the configuration's")
    add("--asr_args", default="", help="ESPnet options on top of the configuration")
    add("--build", action="store_true", help="also build each module without memory, which takes "
        "seconds and finds illegal values")  # fmt: skip
    return parser


if __name__ == "__main__":
    run_main(main)
