"""Mend Kaldi data directories: sort, keep the utterances that all files give whole, back up."""

from asr_dro_plugin.bin.validate_data_dir import checks_from, get_parser, report_on
from asr_dro_plugin.data.fix import fix
from asr_dro_plugin.errors import run_main


def main() -> int:
    """Returns 1 when a directory is still damaged afterwards."""
    arguments = get_parser(__doc__).parse_args()
    checks = checks_from(arguments)
    damaged = False
    for directory in arguments.directories:
        for line in fix(directory, checks):
            print(line)
        damaged |= not report_on(directory, checks)
    return int(damaged)


if __name__ == "__main__":
    run_main(main)
