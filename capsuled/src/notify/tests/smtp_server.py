"""A mail server for the tests: prints its port, then one JSON line for each mail it took.

Recipients whose name begins with `refused` get 550, with `deferred` 450 the first time they are named, and
a sender that begins with `busy` gets 421; `hang` as the sender takes the mail's content and never answers.
"""

import asyncio
import base64
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

options = json.loads(sys.argv[1])
deferred = set()


class Handler:
    async def handle_MAIL(self, server, session, envelope, address, mail_options):
        if address.startswith("busy"):
            return "421 4.3.2 shutting down"
        envelope.mail_from = address
        return "250 2.1.0 OK"

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address.startswith("refused"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("deferred") and address not in deferred:
            deferred.add(address)
            return "450 4.2.0 grey-listed, come back"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        if envelope.mail_from.startswith("hang"):
            await asyncio.Event().wait()
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None or options["security"] == "tls",
            "login": session.auth_data if options["login"] else None,
            "content": envelope.content.decode("ascii"),
        }
        print(json.dumps(mail), flush=True)
        return "250 2.0.0 queued as 42"


def authenticate(server, session, envelope, mechanism, data):
    good = (data.login.decode(), data.password.decode()) == tuple(options["login"])
    if good:
        return AuthResult(success=True, auth_data=data.login.decode())
    plain = base64.b64encode(b"\0" + data.login + b"\0" + data.password).decode()
    # A careless server: it repeats what it was given.
    return AuthResult(success=False, handled=False, message=f"535 5.7.8 wrong: {data.password.decode()} {plain}")


def context():
    if not options["certificate"]:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(options["certificate"], options["key"])
    return made


def session():
    starttls = options["security"] == "starttls"
    return SMTP(
        Handler(),
        hostname="mail.test",
        tls_context=context() if starttls else None,
        require_starttls=starttls,
        authenticator=authenticate,
        auth_required=options["login"] is not None,
        auth_require_tls=starttls,
        decode_data=False,
    )


async def main():
    tls = context() if options["security"] == "tls" else None
    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0, ssl=tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
