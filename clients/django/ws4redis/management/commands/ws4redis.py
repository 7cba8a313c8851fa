"""`manage.py ws4redis`: the gateway, with the settings of the site."""

import atexit
import os
import subprocess
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings as site
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.utils import autoreload

from ws4redis import gateway


class Command(BaseCommand):
    """Becomes the gateway; with DEBUG it stays beside it, and starts it anew when the site's code changes."""

    help = (
        "Starts the WebSocket gateway with this site's settings. What stands after -- goes to `ws4redis serve`; "
        "a variable of the environment counts more than a setting of the same name."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Ours; the gateway's come after `--`."""
        parser.add_argument("arguments", nargs="*", metavar="-- ARGUMENT", help="for the gateway, see its --help")
        parser.add_argument("--noreload", action="store_true", help="do not watch the site's code, even with DEBUG")
        parser.add_argument(
            "--check",
            action="store_true",
            help="run `ws4redis check` in its place: are the settings good, is Redis there, what would a client get",
        )
        parser.add_argument(
            "--environment",
            action="store_true",
            help="print the variables for a gateway that something else starts, secrets included, and exit",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Runs the command."""
        try:
            variables = gateway.environment()
            if options["environment"]:
                for name, value in sorted(variables.items()):
                    self.stdout.write(f"{name}={_quoted(value)}")
                return
            command = [gateway.binary(), "check" if options["check"] else "serve", *options["arguments"]]
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from None
        # What somebody says on the spot counts more. Where the gateway is, is nothing that it wants to know.
        variables |= {name: value for name, value in os.environ.items() if name != "WS4REDIS_BINARY"}
        # Secrets go this way and never into the arguments, which everybody on the machine can read.
        if options["check"] or options["noreload"] or not site.DEBUG:
            self.stdout.flush()
            os.execve(command[0], command, variables)  # noqa: S606
        autoreload.run_with_reloader(_beside, command, variables)


def _beside(command: list[str], variables: dict[str, str]) -> None:
    """Runs the gateway for as long as the reloader lets this process live."""
    # The reloader's mark is for Python only.
    variables = {name: value for name, value in variables.items() if name != autoreload.DJANGO_AUTORELOAD_ENV}
    process = subprocess.Popen(command, env=variables)  # noqa: S603
    atexit.register(_end, process)
    if code := process.wait():
        sys.stderr.write(f"The gateway ended with code {code}; it starts again when the site's code changes.\n")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()


def _quoted(value: str) -> str:
    # As systemd's EnvironmentFile and shells read it.
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`")
    return f'"{escaped}"'
