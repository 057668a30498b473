"""Speech in, transcripts out, for any recogniser: batches, chunks, times and faults; no torch.

Imports: audio base decoding emissions text transcripts.
"""
