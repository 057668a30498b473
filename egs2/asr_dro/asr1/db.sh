# shellcheck shell=bash
# Where the corpora lie.  A variable of the same name in the environment wins.
# shellcheck disable=SC2034  # used by local/data.sh

ML_SUPERB=${ML_SUPERB:-}  # --corpus ml_superb: the tree <root>/<corpus>/<lang>/{wav,transcript_*.txt}
TSV=${TSV:-}              # --corpus tsv: the table (TSV, CSV or NeMo JSONL), paths relative to it
KALDI=${KALDI:-}          # --corpus kaldi: the folder of Kaldi directories, such as another recipe's data
PROMPTS=${PROMPTS:-}      # --corpus prompts: a folder with the prompts; empty: from Debian's mirror
DEBIAN=${DEBIAN:-}        # --corpus debian: a folder with Debian's packages; empty: from the mirror
LIBRISPEECH=${LIBRISPEECH:-}  # --corpus librispeech: the folder with train-clean-100 and the like
