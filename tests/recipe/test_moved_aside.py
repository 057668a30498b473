"""utils/prepare_exp.sh: what is in use stays, what was moved aside is taken up again."""

import subprocess
from pathlib import Path

import pytest

RECIPE = Path(__file__).resolve().parents[2] / "egs2" / "asr_dro" / "asr1"


class Experiment:
    """An experiment's folder with a checkpoint, and its training's options."""

    def __init__(self, root: Path) -> None:
        self.root, self.exp = root, root / "exp" / "asr_x"
        (root / "exp" / ".done").mkdir(parents=True)

    def prepare(self, options: str, *before: str) -> subprocess.CompletedProcess:
        """prepare_exp.sh for a training with these options; its folder then says what it holds."""
        words = [*before, "exp/asr_x", "exp/.done/11_asr_x.begun.json", "--option", f"a={options}"]
        done = subprocess.run([str(RECIPE / "utils/prepare_exp.sh"), *words], cwd=self.root,
                              capture_output=True, text=True, check=False)  # fmt: skip
        if done.returncode == 0 and not before and not (self.exp / "checkpoint.pth").exists():
            (self.exp / "checkpoint.pth").write_text(options)
        return done

    def holds(self) -> str:
        """Whose checkpoint lies in the folder."""
        return (self.exp / "checkpoint.pth").read_text()


@pytest.fixture
def experiment(tmp_path) -> Experiment:
    """An experiment trained with the options ``first``."""
    made = Experiment(tmp_path)
    made.prepare("first")
    return made


def test_other_options_begin_anew_and_earlier_ones_are_taken_up_again(experiment):
    moved = experiment.prepare("second")
    assert experiment.holds() == "second" and "the earlier run is kept in" in moved.stdout
    planned = experiment.prepare("first", "--plan")
    assert experiment.holds() == "second" and "would go on: it was made like this" in planned.stdout
    again = experiment.prepare("first")
    assert experiment.holds() == "first" and "it goes on as exp/asr_x" in again.stdout
    assert experiment.prepare("third").returncode == 0 and experiment.holds() == "third"
    kept = {
        (path / "checkpoint.pth").read_text() for path in experiment.root.glob("exp/*.before_*")
    }
    assert kept == {"first", "second"}


def test_a_folder_that_another_run_uses_is_never_moved(experiment):
    use = f"set -e; expdir=exp; . {RECIPE}/utils/stages.sh; uses exp/asr_x; echo on; read -r _"
    with subprocess.Popen(["bash", "-c", use], cwd=experiment.root, text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:  # fmt: skip
        assert other.stdout.readline() == "on\n"
        refused = experiment.prepare("second")
        assert refused.returncode == 1 and refused.stderr.count("\n") == 1
        assert "is used by another run" in refused.stderr and "--asr_tag NAME" in refused.stderr
        assert experiment.prepare("first").returncode == 0  # the same training goes on
        other.stdin.close()
        other.wait(120)
    assert experiment.holds() == "first"
    assert experiment.prepare("second").returncode == 0 and experiment.holds() == "second"
