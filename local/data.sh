#!/usr/bin/env bash
# Stage 1: one corpus -> data/{train,dev,test}_<corpus>, Kaldi directories with utt2lang and
# utt2category.  local/data_<corpus>.py does the work: a new corpus is a new file, no edit here.
# shellcheck disable=SC1091,SC2034  # other scripts are sourced; options are read by their names
set -euo pipefail
. ./path.sh
. ./db.sh

help_message="Prepare a corpus: local/data.sh --corpus prompts|tsv|ml_superb [options]"

corpus=prompts             # NAME of local/data_NAME.py
langs=                     # ISO 639-3 codes, for example "eng fra"; empty takes all
lid=true                   # language tag [iso] first in the text
text_norm=lower_no_punct   # none, nfc, lower_no_punct, upper_no_punct, or a YAML (conf/text_norm_NAME.yaml or NAME)
name=                      # the sets are train_NAME, dev_NAME, test_NAME (default: the corpus)
out_dir=data               # where train_NAME, dev_NAME and test_NAME go
source=                    # table (tsv) or folder; empty takes PROMPTS, TSV or ML_SUPERB of db.sh
seed=7                     # for splits that are made here, not given
new_split=false            # make such a split anew though its file is there
max_drop=0.05              # largest share of a language that may be dropped
downloads=                 # prompts: where packages are kept (default: downloads)
columns=                   # tsv: header names, for example "utt_id=id lang=language"
group_by=                  # tsv, ml_superb: lang, lang_corpus or (tsv) a column (default: lang)
duration=                  # ml_superb: 10min or 1h of training data a language and corpus
language_set=              # ml_superb: a set of the sets column of local/languages.tsv
few_shot=                  # ml_superb: true keeps the reserved languages with 5 utterances each
corpus_opts=               # options of a corpus of your own, as "--name value ..."

. utils/parse_options.sh

known=$(cd local && printf '%s\n' data_*.py | sed 's/^data_//; s/\.py$//' | tr '\n' ' ')
if [ ! -f "local/data_${corpus}.py" ]; then
    # shellcheck disable=SC2086 # a list of words
    python3 -c 'import sys
from asr_dro_plugin.errors import suggestion
name, *known = sys.argv[1:]
sys.exit(f"ERROR: --corpus {name} is not known.{suggestion(name, known)} Known: {chr(32).join(known)}.")' \
        "${corpus}" ${known}
fi

# a root named after the corpus in db.sh: TSV for tsv, ML_SUPERB for ml_superb
root_name=$(printf '%s' "${corpus}" | tr '[:lower:]-' '[:upper:]_')
source=${source:-${!root_name:-}}

args=(--out_dir "${out_dir}" --name "${name:-${corpus}}" --langs "${langs}" --lid "${lid}" --text_norm "${text_norm}"
      --seed "${seed}" --new_split "${new_split}" --max_drop "${max_drop}" --source "${source}")
for option in downloads columns group_by duration language_set few_shot; do
    if [ -n "${!option}" ]; then
        args+=("--${option}" "${!option}")
    fi
done
read -r -a own <<< "${corpus_opts}"
exec python3 "local/data_${corpus}.py" "${args[@]}" ${own[@]+"${own[@]}"}
