"""The one batch test: can this stack learn a few utterances by heart?"""
