"""A mail server for tests: STARTTLS and a password are required, accepted mail becomes a line of JSON."""

import email
import email.policy
import json
import os
import ssl
import sys
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

directory, port = sys.argv[1], int(sys.argv[2])


class Keep:
    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        part = lambda kind: (message.get_body((kind,)) or message).get_content()
        line = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": message["Subject"],
            "message_id": message["Message-ID"],
            "delivery": message["X-Capsule-Delivery"] or "",
            "text": part("plain"),
            "html": part("html"),
            "tls": session.ssl is not None,
            "user": (session.auth_data.login.decode() if session.auth_data else ""),
        }
        with open(os.path.join(directory, "mails.jsonl"), "a") as out:
            out.write(json.dumps(line) + "\n")
            out.flush()
            os.fsync(out.fileno())
        return "250 kept"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"capsule", b"hunter2")
    return AuthResult(success=good, handled=good, auth_data=data)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem"))
controller = Controller(
    Keep(),
    hostname="127.0.0.1",
    port=port,
    tls_context=context,
    require_starttls=True,
    auth_required=True,
    authenticator=authenticate,
)
controller.start()
threading.Event().wait()
