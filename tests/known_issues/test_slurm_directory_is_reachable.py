"""The tests' Slurm did not start under ``pytest -n 2``: "no munged's socket after 60 s".

munged runs as the user munge, and its directory lay in pytest's: under xdist one level deeper, so
that the two parents that were opened to others no longer were all of them; /tmp/pytest-of-USER,
which is the user's alone, stayed shut.  (And any other pytest of the same user that started in
between closed it again.)
"""

import stat
import subprocess
import sys

from tests.shell.one_machine_slurm import one_at_a_time, reachable_directory


def test_every_folder_on_the_way_to_the_daemons_is_open_to_other_users():
    with reachable_directory() as directory:
        for folder in (directory, *directory.parents):
            assert folder.stat().st_mode & stat.S_IXOTH, folder
    assert not directory.exists()


def test_a_second_worker_waits_for_the_first(tmp_path):
    program = (
        "import sys, pathlib\n"
        "from tests.shell.one_machine_slurm import one_at_a_time\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "(folder / 'started').touch()\n"
        "with one_at_a_time(folder / 'lock'):\n"
        "    assert (folder / 'first_is_done').exists()\n"
    )
    with one_at_a_time(tmp_path / "lock"):
        second = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)])
        while not (tmp_path / "started").exists():
            assert second.poll() is None
        (tmp_path / "first_is_done").touch()
    assert second.wait(120) == 0
