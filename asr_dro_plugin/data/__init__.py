"""Kaldi data directories (stages 1 to 4): corpora in, cleaned and dumped sets out.

Imports: audio base text.
"""
