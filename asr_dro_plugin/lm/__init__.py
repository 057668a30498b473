"""N-gram language models: training text, estimation, ARPA files, perplexity, tuning grid.

``text`` reads and normalises; ``counts`` and ``kneser_ney`` are the built-in estimator's
arithmetic; ``programs`` loads models with KenLM and runs its programs;
``build`` makes the folder that ``lm.files`` describes; ``perplexity`` measures it.

Imports: base text.
"""
