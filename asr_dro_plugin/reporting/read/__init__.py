"""What a run left in its experiment, read for a report.

Imports: audio base experiment scoring text.
"""
