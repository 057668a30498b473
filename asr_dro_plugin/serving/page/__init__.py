"""The page at ``/``: one HTML file that sends recordings to the service and shows their words.

All it asks of the service: ``GET v1/models``, ``GET healthz`` where an upload broke off, and
``POST transcribe`` with the fields ``file``, ``model``, ``language`` or several ``languages[]``,
and ``stream=true``, which answers one line of JSON an event, as ``protocol.encode`` writes them
(``application/x-ndjson``).  An error is ``{"error": {"message", "type", "param", "code"}}``.

Imports: nothing.
"""
