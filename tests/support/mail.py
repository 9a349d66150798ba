"""A mail server on this machine, which keeps what it is sent."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from socketserver import StreamRequestHandler, ThreadingTCPServer


class _Mailbox(StreamRequestHandler):
    """Enough of SMTP for a client that neither signs in nor encrypts."""

    received: list[EmailMessage]

    def handle(self) -> None:
        self.say("220 here")
        for line in self.rfile:
            match line[:4].upper():
                case b"DATA":
                    self.say("354 go on")
                    text = b"".join(iter(self.rfile.readline, b".\r\n"))
                    self.received.append(message_from_bytes(text, EmailMessage, policy=policy.default))
                    self.say("250 kept")
                case b"QUIT":
                    return self.say("221 bye")
                case _:
                    self.say("250 go on")

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def mailbox() -> Iterator[tuple[int, list[EmailMessage]]]:
    """Receive mail; yields the port, and the list that grows by each message."""
    received: list[EmailMessage] = []
    with ThreadingTCPServer(("127.0.0.1", 0), type("Mailbox", (_Mailbox,), {"received": received})) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server.server_address[1], received
        server.shutdown()
