"""What follows from asr.sh's options, as lines that bash evaluates, or one line of refusal.

Names are ``name=value``, lists ``name=(word word)``; all that needs it is quoted.

Takes every option of asr.sh as a word ``name=value``, and ``cmd_backend``.  Both configurations are
read and judged here, once.  The one file that it may write is the decoding configuration that
``--inference_args`` changes.
"""

import os
import shlex
import sys
from collections.abc import Mapping

import yaml

from asr_dro_plugin.base.devices import device_of
from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.bin.check_config import check_outcome
from asr_dro_plugin.decoding.options import check_lm_dir, read_decode_config
from asr_dro_plugin.errors import run_main
from asr_dro_plugin.experiment import recipe_checks, recipe_lists, recipe_names
from asr_dro_plugin.stack.check import read_config
from asr_dro_plugin.stack.overrides import overrides_from_arguments
from asr_dro_plugin.text.auxiliary.convert import tool_of
from asr_dro_plugin.text.normalizers import get_normalizer


def main(argv: list[str] | None = None) -> int:
    """Judge, then print the names."""
    words = sys.argv[1:] if argv is None else argv
    options = dict(word.partition("=")[::2] for word in words)
    recipe_checks.check_words(options)
    caller_dir = os.environ.get("ASR_DRO_CALLER_DIR", ".")
    names = recipe_names.found_paths(options, caller_dir)
    options |= names
    get_normalizer(options["text_norm"])
    config = read_config(
        options["asr_config"], options["asr_args"], ssl_checkpoint=options["ssl_checkpoint"]
    )
    changes = overrides_from_arguments(options["inference_args"])
    given = load_config(options["inference_config"], changes)
    decoding = read_decode_config(given, options["inference_config"])
    if changes:
        names["inference_config"] = recipe_names.decode_config_name(options)
        options |= names
    names |= recipe_names.names_of(options, config, decoding)
    recipe_checks.check_options(options, names, config)
    names["aux_tool"] = aux_tool({**options, **names})
    if options["lm_dir"]:
        check_lm_dir(decoding, options["lm_dir"], options["inference_config"])
    # As training itself would end, but now; a cluster's GPUs are not seen from here.
    is_local = options["cmd_backend"] == "local" and options["dry_run"] == "false"
    if is_local and int(options["stop_stage"]) >= 11:
        device_of(max(int(options["ngpu"]), int(names["inference_ngpu"])))
    is_plan = options["dry_run"] == "true"  # which builds every module anyway
    builds = not is_plan and int(options["stage"]) <= 11  # afterwards the model is there
    check_outcome(config, options["asr_config"], names["inference_asr_model"], builds)
    lines = [f"{name}={shlex.quote(value)}" for name, value in names.items()]
    lists = recipe_lists.lists_of({**options, **names})
    lines += [f"{name}=({shlex.join(members)})" for name, members in lists.items()]
    if changes and not is_plan:
        with atomic_write(names["inference_config"]) as stream:
            yaml.safe_dump(dict(given), stream, sort_keys=False, allow_unicode=True)
    print("\n".join(lines))
    return 0


def aux_tool(options: Mapping[str, str]) -> str:
    """The tool that stage 5 makes auxiliary targets with, and its version; '' where it makes none.

    Raises:
        UserError: it is not here.
    """
    does_stage_5 = int(options["stage"]) <= 5 <= int(options["stop_stage"])
    if not options["aux_text"] or not does_stage_5 or "5" in options["skip_stages"].split():
        return ""
    return tool_of(options["aux_text"])


if __name__ == "__main__":
    run_main(main)
