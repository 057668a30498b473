"""What a recogniser says, and the files that say it.

Imports: base text.
"""
