#!/usr/bin/env bash
# Write a command, quoted word for word, into a script that repeats it from the recipe directory.
# Usage: write_command.sh FILE COMMAND [ARGUMENT]...
set -euo pipefail
file=$1
shift
mkdir -p "$(dirname "${file}")"
{
    printf '#!/usr/bin/env bash\n# The exact command of this stage; run it from the recipe directory.\nset -euo pipefail\n'
    printf '. ./path.sh\n'
    printf 'exec ' # signals reach the command, not a shell that would die of them
    printf '%q ' "$@"
    printf '"$@"\n'
} >"${file}.tmp"
mv "${file}.tmp" "${file}"
chmod +x "${file}"
