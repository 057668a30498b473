"""The page at ``/``: one HTML file that sends recordings to the service and shows their words.

All it asks of the service: ``GET limits`` (``routes.page``), ``GET v1/models`` and
``POST transcribe`` with the fields ``file``, ``model``, ``language`` or several ``languages[]``,
and ``stream=true``, which answers one line of JSON an event, as ``protocol.encode`` writes them
(``application/x-ndjson``).  An error is ``{"error": {"message", "type", "param", "code"}}``.

Imports: nothing.
"""
