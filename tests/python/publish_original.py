"""Publishes through the original itself: RedisPublisher of django-websocket-redis.

    publish_original.py --unix-socket /run/redis.sock --facility chat --broadcast hello world

Prints the channels, one a line, once everything is published.
"""

import argparse

from django.conf import settings


def main():
    args = parse()
    if args.unix_socket:
        connection = {"unix_socket_path": args.unix_socket, "db": args.db}
    else:
        connection = {"host": args.host, "port": args.port, "db": args.db}
    settings.configure(
        WS4REDIS_CONNECTION=connection,
        WS4REDIS_PREFIX=args.prefix,
        WS4REDIS_EXPIRE=args.expire,
        WS4REDIS_HEARTBEAT=args.heartbeat,
    )

    # The package reads its settings, and makes its connection pool, when it is imported.
    from ws4redis.publisher import RedisPublisher
    from ws4redis.redis_store import RedisMessage

    publisher = RedisPublisher(
        facility=args.facility,
        broadcast=args.broadcast,
        users=args.user,
        groups=args.group,
        sessions=args.session,
    )
    for message in args.messages:
        publisher.publish_message(RedisMessage(message))
    for channel in sorted(publisher._publishers):
        print(channel, flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=6379)
    parser.add_argument("--unix-socket")
    parser.add_argument("--db", type=int, default=0)
    parser.add_argument("--prefix")
    parser.add_argument("--expire", type=int, default=3600)
    parser.add_argument("--heartbeat")
    parser.add_argument("--facility", required=True)
    parser.add_argument("--broadcast", action="store_true")
    parser.add_argument("--user", action="append", default=[])
    parser.add_argument("--group", action="append", default=[])
    parser.add_argument("--session", action="append", default=[])
    parser.add_argument("messages", nargs="+")
    return parser.parse_args()


if __name__ == "__main__":
    main()
