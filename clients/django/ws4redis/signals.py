"""What the gateway has to know of the site's people: who logs in, and what they lose."""

from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.contrib.sessions.backends import signed_cookies
from django.db import transaction
from django.db.models.signals import m2m_changed, post_delete, post_save

from . import control
from .redis_store import GROUPS_KEY, USERNAME_KEY, sessions_of


def connect() -> None:
    """Called when the app is ready."""
    user_logged_in.connect(remember, dispatch_uid="ws4redis.login")
    user_logged_out.connect(forget, dispatch_uid="ws4redis.logout")
    users = get_user_model()
    post_save.connect(user_saved, sender=users, dispatch_uid="ws4redis.user_saved")
    post_delete.connect(user_deleted, sender=users, dispatch_uid="ws4redis.user_deleted")
    if (groups := getattr(users, "groups", None)) is not None:
        m2m_changed.connect(groups_changed, sender=groups.through, dispatch_uid="ws4redis.groups_changed")
        post_delete.connect(group_deleted, sender=Group, dispatch_uid="ws4redis.group_deleted")


def remember(request: Any, user: Any, **_: Any) -> None:
    """Stores name and groups in the session at login, where the gateway finds them without a database."""
    session = getattr(request, "session", None)
    if session is None:
        return
    session[USERNAME_KEY] = user.get_username()
    if hasattr(user, "groups"):
        session[GROUPS_KEY] = [group.name for group in user.groups.all()]


def forget(request: Any, user: Any, **_: Any) -> None:
    """Cuts off the session that is logged out."""
    if isinstance(getattr(request, "session", None), signed_cookies.SessionStore):
        # A session in a cookie has no key by which the gateway knows it; the user's others come back at once.
        if user is not None:
            control.recheck(user=user.get_username())
    elif keys := sessions_of(request):
        control.disconnect(session=keys[0])


def groups_changed(instance: Any, action: str, reverse: bool, pk_set: set[Any] | None, using: str, **_: Any) -> None:
    """Lets those be judged anew whose groups changed, from whichever side that was said."""
    if action == "pre_clear" and reverse:
        # Afterwards nobody knows who they were, but the gateway does.
        _later(using, [{"action": "recheck", "group": instance.name}])
    elif action in ("post_add", "post_remove") and reverse:
        users = get_user_model()._default_manager.using(using).filter(pk__in=pk_set or ())
        names = users.values_list(get_user_model().USERNAME_FIELD, flat=True)
        _later(using, [{"action": "recheck", "user": str(name)} for name in names])
    elif (action == "post_clear" and not reverse) or (action in ("post_add", "post_remove") and pk_set):
        _later(using, [{"action": "recheck", "user": instance.get_username()}])


def group_deleted(instance: Any, using: str, **_: Any) -> None:
    """Lets those be judged anew who were in it."""
    _later(using, [{"action": "recheck", "group": instance.name}])


def user_saved(instance: Any, created: bool, raw: bool, using: str, **_: Any) -> None:
    """Cuts off a user who may not log in any more; one with a new password has to show a session that is still good."""
    if created or raw:
        return
    if not instance.is_active:
        _later(using, [{"action": "disconnect", "user": instance.get_username()}])
    elif getattr(instance, "_password", None) is not None:
        # Set between set_password and the end of save.
        _later(using, [{"action": "recheck", "user": instance.get_username()}])


def user_deleted(instance: Any, using: str, **_: Any) -> None:
    """Cuts off a user who is no more."""
    _later(using, [{"action": "disconnect", "user": instance.get_username()}])


def _later(using: str, messages: list[dict[str, str]]) -> None:
    # Before the commit a page that comes back at once would be judged by what was.
    if messages:
        transaction.on_commit(partial(control.send, messages), using=using)
