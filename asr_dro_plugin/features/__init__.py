"""Log-mel features in numpy and in torch, from one settings object.

Imports: base.
"""

# Hz, for which the features here are defined unless their settings say another.  That the recipe's
# audio (audio.SAMPLE_RATE) is the same is for the stack to say, which refuses other settings.
SAMPLE_RATE = 16000
