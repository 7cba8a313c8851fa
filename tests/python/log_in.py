"""Logs John, who is staff, in to a Django site that has django-websocket-redis, and sessions in the cache.

    log_in.py redis://127.0.0.1:6379/0 signals.py

The second argument is a file of the site's own that listens to logins. Prints the session's cookie.
"""

import sys

from django.conf import settings

url, signals = sys.argv[1:]
settings.configure(
    SECRET_KEY="a secret key for tests, long enough",
    ALLOWED_HOSTS=["testserver"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "ws4redis"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    CACHES={"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}},
)

import django

django.setup()

from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.test import Client

with open(signals) as file:
    exec(compile(file.read(), signals, "exec"))

call_command("migrate", verbosity=0)
john = User.objects.create_user("john", password="secret")
john.groups.add(Group.objects.create(name="staff"))
client = Client()
assert client.login(username="john", password="secret")
print(f"{settings.SESSION_COOKIE_NAME}={client.session.session_key}")
