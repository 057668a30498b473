"""What importing fairseq and s3prl takes here: one file a package, imported when asked for.

Imports: pretrained.
"""
