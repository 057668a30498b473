import socket

from tests.serving.clients import BOUNDARY, form
from tests.serving.fronts import front


def test_a_refusal_reaches_a_client_that_first_sends_all_and_wants_the_connection_closed():
    """As proxies and simple clients do: unread bytes at a close would take the answer along."""
    body = form(bytes(8_000_000))
    head = (
        f"POST /transcribe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    )
    with front(max_upload_mb=0.1) as service:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", service.port), timeout=20) as link:
                link.sendall(head.encode() + body)
                assert link.recv(12) == b"HTTP/1.1 413"
                while link.recv(65536):  # and then it is closed
                    pass
