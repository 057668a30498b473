"""Auxiliary targets: texts as phonemes or in Latin letters, parted in units.

Imports: base text.
"""

PHONEMES, ROMANISED = KINDS = ("phonemes", "romanised")  # of --aux_text
INPUT = "text_aux"  # file of a set's units, name of training's input, target in a YAML's aux_ctc
TOKENS = "tokens_aux.txt"
