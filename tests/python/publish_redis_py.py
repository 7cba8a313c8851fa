"""Publishes with plain redis-py, as programs do that never heard of us.

    publish_redis_py.py --port 6379 --channel broadcast:chat hello world
    publish_redis_py.py --unix-socket /run/redis.sock --channel broadcast:chat --expire 60 hello

Without --expire it says PUBLISH; with it, SETEX and PUBLISH in one MULTI/EXEC (`pipeline(transaction=True)`).
Prints, for each message, how many subscribers Redis counted.
"""

import argparse

import redis


def main():
    args = parse()
    if args.unix_socket:
        connection = redis.Redis(unix_socket_path=args.unix_socket, db=args.db)
    else:
        connection = redis.Redis(host=args.host, port=args.port, db=args.db)
    for message in args.messages:
        if args.expire:
            pipeline = connection.pipeline(transaction=True)
            pipeline.setex(args.channel, args.expire, message)
            pipeline.publish(args.channel, message)
            receivers = pipeline.execute()[-1]
        else:
            receivers = connection.publish(args.channel, message)
        print(receivers, flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=6379)
    parser.add_argument("--unix-socket")
    parser.add_argument("--db", type=int, default=0)
    parser.add_argument("--channel", required=True)
    parser.add_argument("--expire", type=int)
    parser.add_argument("messages", nargs="+")
    return parser.parse_args()


if __name__ == "__main__":
    main()
