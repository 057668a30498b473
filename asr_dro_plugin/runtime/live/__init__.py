"""Speech that is still being said: pieces of sound in, text that grows and text that stays out.

Imports: audio base decoding emissions runtime text transcribing transcripts.
"""
