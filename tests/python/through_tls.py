"""What a browser does with an https:// site that offers HTTP/2, and a WebSocket on it.

    through_tls.py PORT CERTIFICATE

Prints the protocol that is chosen for pages (ALPN, RFC 7301), whether the server offers WebSockets over HTTP/2
(SETTINGS_ENABLE_CONNECT_PROTOCOL, RFC 8441 3), the protocol that is chosen where a WebSocket is to be opened, and the
first message that it hears there.
"""

import asyncio
import socket
import ssl
import sys

import websockets

ENABLE_CONNECT_PROTOCOL = 8


def trusting(certificate, protocols):
    context = ssl.create_default_context(cafile=certificate)
    context.set_alpn_protocols(protocols)
    return context


def pages(port, certificate):
    context = trusting(certificate, ["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as tcp:
        with context.wrap_socket(tcp, server_hostname="localhost") as connection:
            print(connection.selected_alpn_protocol(), flush=True)
            # RFC 9113 3.4: the preface, then SETTINGS from either side.
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
            with connection.makefile("rb") as stream:
                head = stream.read(9)
                assert head[3] == 4, head
                settings = stream.read(int.from_bytes(head[:3], "big"))
    names = [int.from_bytes(settings[at : at + 2], "big") for at in range(0, len(settings), 6)]
    print("extended connect" if ENABLE_CONNECT_PROTOCOL in names else "no extended connect", flush=True)


async def websocket(port, certificate):
    url = f"wss://localhost:{port}/ws/f?subscribe-broadcast"
    connection = websockets.connect(
        url,
        host="127.0.0.1",
        ssl=trusting(certificate, ["http/1.1"]),
        origin=f"https://localhost:{port}",
        proxy=None,
    )
    async with connection as client:
        chosen = client.transport.get_extra_info("ssl_object").selected_alpn_protocol()
        print(chosen, flush=True)
        print(await asyncio.wait_for(client.recv(), 20), flush=True)


port, certificate = int(sys.argv[1]), sys.argv[2]
pages(port, certificate)
asyncio.run(websocket(port, certificate))
