"""What the recipe's names and stages follow from in its two configurations, a ``key value`` a line.

Keys: ``model_file``, ``token_type``, ``normalize``, ``ssl_checkpoint``, ``lm_wanted``, ``lm_unit``;
the value may be empty.
"""

import argparse
from collections.abc import Mapping, Sequence

from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.errors import run_main
from asr_dro_plugin.stack.overrides import join_asr_args, overrides_from_arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Print the facts."""
    args = _parser().parse_args(join_asr_args(argv))
    from asr_dro_plugin.decoding.options import read_decode_config
    from asr_dro_plugin.text.normalizers import get_normalizer

    get_normalizer(args.text_norm)  # one that cannot be is refused here, in a second
    config = load_config(args.asr_config, overrides_from_arguments(args.asr_args))
    facts = {**of_training(config), **of_decoding(read_decode_config(args.inference_config))}
    for key, value in facts.items():
        print(key, value)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("asr_config", help="training configuration (YAML)")
    parser.add_argument("inference_config", help="decoding configuration (YAML)")
    parser.add_argument("--asr_args", default="", help="ESPnet options on top of the first")
    parser.add_argument("--text_norm", default="none", help="text normaliser, to be looked at")
    return parser


def of_training(config: Mapping) -> dict[str, str]:
    """The model file to decode with; how text is spelled; whether statistics are to be made.

    ``normalize`` is ``given`` where the configuration names a file of statistics itself.
    """
    from asr_dro_plugin.experiment.model_files import default_model_file
    from asr_dro_plugin.stack.names import component_of

    statistics = (config.get("normalize_conf") or {}).get("stats_file")
    own_tokens = component_of(config, "decoder") == "hf_whisper"
    return {
        "model_file": default_model_file(config),
        "token_type": str(config.get("token_type") or ("hugging_face" if own_tokens else "char")),
        "normalize": "given" if statistics else component_of(config, "normalize") or "none",
        "ssl_checkpoint": str(config.get("ssl_checkpoint") or ""),
    }


def of_decoding(config: Mapping) -> dict[str, str]:
    """Whether a language model is wanted, and of which unit."""
    return {
        "lm_wanted": str(config["mode"] == "lm").lower(),
        "lm_unit": str(config.get("lm_unit", "word")),
    }


if __name__ == "__main__":
    run_main(main)
