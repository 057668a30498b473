"""What a run left in its experiment, read for a report.

Imports: base experiment scoring text.
"""
