"""The Django side of ws4redis, a WebSocket gateway for Redis."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("ws4redis")
except PackageNotFoundError:
    # Used from a source tree.
    __version__ = "0"
