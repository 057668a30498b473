"""Git passes over what the documents' commands write; a clean tree stays clean after a try."""

import shutil
import subprocess

import pytest

from tests.docs.pages import ROOT, calls

OUT = {"--out", "--out_dir", "--output_dir"}
FOLDERS = (ROOT, ROOT / "egs2/asr_dro/asr1")


def outputs():
    """Every place that a call of asr-dro in the documents names for what it writes."""
    found = {"lm/joint/lm.arpa.gz", "exp/onebatchtest_X/onebatchtest.json"}  # two defaults
    for _, words in calls():
        if words[0] == "asr-dro":
            found |= {b for a, b in zip(words, words[1:]) if a in OUT}
    return sorted(path for path in found if not path.startswith(("/", "$", "-")))


@pytest.mark.skipif(not shutil.which("git") or not (ROOT / ".git").exists(), reason="no checkout")
def test_git_passes_over_what_the_documents_commands_write():
    assert len(outputs()) > 8
    for folder in FOLDERS:
        done = subprocess.run(["git", "check-ignore", "--no-index", *outputs()], cwd=folder,
                              capture_output=True, text=True)  # fmt: skip
        assert sorted(done.stdout.splitlines()) == outputs()


@pytest.mark.skipif(not shutil.which("git") or not (ROOT / ".git").exists(), reason="no checkout")
def test_no_file_of_the_tree_is_passed_over():
    words = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    assert subprocess.run(words, cwd=ROOT, capture_output=True, text=True).stdout == ""
