"""Publishes an order to gateways by the Python of docs/access.md, which it runs as it stands there.

    publish_order.py --unix-socket /run/redis.sock --secret-file FILE --page docs/access.md --user john

Prints how many gateways heard it.
"""

import argparse
import pathlib

import redis


def main():
    args = parse()
    page = pathlib.Path(args.page).read_text(encoding="utf-8")
    names = {}
    exec(page.split("```python\n")[1].split("```")[0], names)
    connection = redis.Redis(unix_socket_path=args.unix_socket)
    whom = {"user": args.user, "group": args.group, "session": args.session}
    whom = {field: name for field, name in whom.items() if name is not None}
    secret = pathlib.Path(args.secret_file).read_bytes()
    print(names["disconnect"](connection, secret, **whom), flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--unix-socket", required=True)
    parser.add_argument("--secret-file", required=True)
    parser.add_argument("--page", required=True)
    for field in ("user", "group", "session"):
        parser.add_argument(f"--{field}")
    return parser.parse_args()


if __name__ == "__main__":
    main()
