"""Listens with the `websockets` package and prints what it hears, one JSON object a line.

    listen_websockets.py 'ws://127.0.0.1:8000/ws/chat?subscribe-broadcast' --count 3 --deadline 10

First {"open": true} after the 101; then {"type": "text", "data": "..."} or {"type": "binary", "base64": "..."};
at the end {"close": code, "reason": "..."}. Ends with 0 after --count messages or an orderly close, with 1 at the deadline.
"""

import argparse
import asyncio
import base64
import json
import sys

import websockets


async def main(args):
    connection = (
        websockets.unix_connect(args.unix_socket, args.url)
        if args.unix_socket
        # The gateway is on this machine: no proxy of the environment stands between.
        else websockets.connect(args.url, proxy=None)
    )
    async with connection as socket:
        say({"open": True})
        for message in args.send:
            await socket.send(message)
        heard = 0
        while args.count is None or heard < args.count:
            try:
                message = await socket.recv()
            except websockets.ConnectionClosed as closed:
                frame = closed.rcvd
                say({"close": frame and frame.code, "reason": frame and frame.reason})
                return
            heard += 1
            if isinstance(message, str):
                say({"type": "text", "data": message})
            else:
                say({"type": "binary", "base64": base64.b64encode(message).decode()})


def say(line):
    print(json.dumps(line), flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--unix-socket")
    parser.add_argument("--send", action="append", default=[], help="send this after the 101")
    parser.add_argument("--count", type=int)
    parser.add_argument("--deadline", type=float, default=10)
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse()
    try:
        asyncio.run(asyncio.wait_for(main(arguments), arguments.deadline))
    except TimeoutError:
        sys.exit("the deadline passed")
