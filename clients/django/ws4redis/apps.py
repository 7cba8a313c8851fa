"""The app."""

from django.apps import AppConfig, apps
from django.core.checks import register


class Ws4redisConfig(AppConfig):
    """Stands in INSTALLED_APPS as `ws4redis`."""

    name = "ws4redis"
    verbose_name = "WebSockets for Redis"

    def ready(self) -> None:
        """Listens to logins, and registers the checks."""
        from . import checks

        register(checks.check_settings, "ws4redis")
        # A site may have users of its own making.
        if apps.is_installed("django.contrib.auth"):
            from . import signals

            signals.connect()
