"""``asr-dro onebatchtest`` answers what it can before it loads anything."""

import pytest

from asr_dro_plugin.bin import onebatchtest
from asr_dro_plugin.errors import UserError


def test_help_shows_uses_and_exit_codes(capsys):
    with pytest.raises(SystemExit) as left:
        onebatchtest.main(["--help"])
    printed = capsys.readouterr().out
    assert left.value.code == 0
    assert "--onebatchtest true" in printed and "Exit code: 0 WER 0 was reached" in printed


def test_data_that_are_not_given_or_not_there_are_one_line(tmp_path):
    config, tokens = tmp_path / "x.yaml", tmp_path / "tokens.txt"
    for path in (config, tokens):
        path.write_text("")
    words = ["--config", str(config), "--token_list", str(tokens)]
    with pytest.raises(UserError, match="options of asr-dro train are needed too"):
        onebatchtest.main(words)
    words += ["--train_data_path_and_name_and_type", f"{tmp_path}/wav.scp,speech,sound"]
    with pytest.raises(UserError, match="wav.scp does not exist. Run the stages before 11"):
        onebatchtest.main(words)


def test_a_configuration_that_is_not_there_is_one_line():
    with pytest.raises(UserError, match="--config conf/nowhere.yaml does not exist"):
        onebatchtest.main(["--config", "conf/nowhere.yaml"])
