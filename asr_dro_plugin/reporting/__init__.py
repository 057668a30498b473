"""What a run and its scores say to a reader: tables, one HTML page, a live view."""
