"""What all kinds of import share: checksums, new vocabularies, a folder that is whole or absent."""

import subprocess
import sys

import pytest
import torch

from asr_dro_plugin.base.files import sha256_of
from asr_dro_plugin.bin.import_model import KINDS
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.importing import sources
from tests.importing import nemo_files
from tests.importing.reading import everything_below, imported, read
from tests.importing.stacks import HEAD, TOKENS, weights, write_tokens, write_yaml

NEW = ["<blank>", "<unk>", "[pol]", "<space>", "a", "c", "ż", "<sos/eos>"]


@pytest.fixture
def given(tmp_path):
    """Options for a state dict in ``tmp_path``."""
    torch.save(weights(), tmp_path / "model.pth")
    config = write_yaml(tmp_path / "stack.yaml")
    return {"config": config, "tokens": write_tokens(tmp_path / "tokens.txt")}


def test_the_right_checksum_passes_and_a_wrong_one_is_refused_unread(given, tmp_path):
    path = tmp_path / "model.pth"
    right = sha256_of(path)
    out = imported("state_dict", path, tmp_path / "exp", **given, sha256=right.upper())
    assert read(out)[2]["sha256"] == {"model.pth": right}
    path.write_bytes(b"changed")
    with pytest.raises(UserError, match=rf"not the {right} of --sha256.*Nothing was read"):
        imported("state_dict", path, tmp_path / "other", **given, sha256=right)
    assert not (tmp_path / "other").exists()


def test_a_new_vocabulary_leaves_the_body_as_it_is_and_keeps_common_rows(given, tmp_path):
    new = write_tokens(tmp_path / "new.txt", NEW)
    out = imported("state_dict", tmp_path / "model.pth", tmp_path / "exp", **given, new_vocab=new)
    config, state, facts, tokens = read(out)
    old = weights()
    for name, tensor in state.items():
        if not name.startswith((HEAD, "frontend.")):
            assert torch.equal(tensor, old[name]), name
    assert tokens == config["token_list"] == NEW and facts["blank_id"] == 0
    for part in ("weight", "bias"):
        for row, token in enumerate(NEW):
            if token in TOKENS:
                theirs = old[f"{HEAD}{part}"][TOKENS.index(token)]
                assert torch.equal(state[f"{HEAD}{part}"][row], theirs), token
    assert state[f"{HEAD}weight"].shape == (len(NEW), 16)
    assert "5 of its 8 rows" in facts["notes"][0]


def test_the_same_import_gives_the_same_new_rows(given, tmp_path):
    new = write_tokens(tmp_path / "new.txt", NEW)
    path = tmp_path / "model.pth"
    first, second = (
        read(imported("state_dict", path, tmp_path / name, **given, new_vocab=new))[1]
        for name in "xy"
    )
    assert torch.equal(first[f"{HEAD}weight"], second[f"{HEAD}weight"])


def test_a_new_vocabulary_without_a_blank_is_refused(given, tmp_path):
    new = write_tokens(tmp_path / "new.txt", ["a", "b"])
    with pytest.raises(UserError, match=r"new.txt has no <blank>, which CTC needs"):
        imported("state_dict", tmp_path / "model.pth", tmp_path / "exp", **given, new_vocab=new)


def test_a_folder_that_is_there_is_not_touched(given, tmp_path):
    (tmp_path / "exp").mkdir()
    (tmp_path / "exp" / "mine").write_text("kept")
    with pytest.raises(UserError, match="exp is there already"):
        imported("state_dict", tmp_path / "model.pth", tmp_path / "exp", **given)
    assert everything_below(tmp_path / "exp") == {"mine"}


@pytest.mark.parametrize("moment", ["_facts", "write_experiment"])
def test_what_fails_late_leaves_nothing(moment, given, tmp_path, monkeypatch):
    def fails(*_arguments):
        raise OSError("the disk is gone")

    monkeypatch.setattr(sources, moment, fails)
    before = everything_below(tmp_path)
    with pytest.raises(OSError, match="the disk is gone"):
        imported("state_dict", tmp_path / "model.pth", tmp_path / "exp", **given)
    assert everything_below(tmp_path) == before


def test_a_source_that_is_not_there_is_named(tmp_path):
    for kind in sources.SOURCES:
        with pytest.raises(UserError, match="absent does not exist"):
            imported(kind, tmp_path / "absent", tmp_path / "exp")


def test_the_command_line_offers_the_kinds_of_the_table():
    assert list(KINDS) == list(sources.SOURCES)


def test_the_result_holds_four_files(given, tmp_path):
    out = imported("state_dict", tmp_path / "model.pth", tmp_path / "exp", **given)
    assert everything_below(out) == {"config.yaml", "model.pth", "tokens.txt", "import.json"}


def test_nothing_that_takes_ten_seconds_is_imported(tmp_path):
    nemo_files.write_nemo(tmp_path / "model.nemo")
    words = ["--from", "nemo", str(tmp_path / "model.nemo"), "--out", str(tmp_path / "exp")]
    script = (
        "import sys\nfrom asr_dro_plugin.bin.import_model import main\n"
        f"main({words!r})\n"
        "heavy = {'espnet2.tasks.asr', 'transformers', 's3prl', 'fairseq', 'nemo'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
