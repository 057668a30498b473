"""``--asr_args "--max_epoch=2"``, one word of a shell, was an error of argparse's.

"expected one argument": it takes a value that begins with dashes, and has no space in it, for an
option of its own.  check_config and plan (now info) were cured, stage 10 was forgotten.
"""

import pytest

from asr_dro_plugin.bin import check_config, info, preflight
from asr_dro_plugin.errors import UserError

SHAPES = ["--train_dir", "t", "--valid_dir", "v", "--tokens", "k", "--out_dir", "o"]


@pytest.mark.parametrize("form", [["--asr_args", "--max_epoch=2"], ["--asr_args=--max_epoch=2"]])
@pytest.mark.parametrize(
    ("main", "words"),
    [
        (check_config.main, ["nowhere.yaml"]),
        (info.main, ["nowhere.yaml"]),
        (preflight.main, [*SHAPES, "--config", "nowhere.yaml"]),
    ],
)
def test_every_command_takes_it(main, words, form):
    with pytest.raises(UserError, match="Cannot read the configuration nowhere.yaml"):
        main([*form, *words])
