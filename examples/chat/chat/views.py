"""Three pages, and the one way to say something."""

import json
import uuid

from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_POST
from ws4redis.publisher import RedisPublisher
from ws4redis.redis_store import RedisMessage

FACILITY = "chat"
TEXT_MAX = 2_000


def _page(request, kind, *, recipients=()):
    names = sorted(request.user.groups.values_list("name", flat=True))
    context = {"kind": kind, "facility": FACILITY, "recipients": recipients, "groups": names}
    return render(request, f"chat/{kind}.html", context)


@login_required
def everyone(request):
    """What is said here, all see."""
    return _page(request, "everyone")


@login_required
def direct(request):
    """What is said here, one sees."""
    others = get_user_model().objects.exclude(pk=request.user.pk).filter(is_active=True)
    names = others.order_by("username").values_list("username", flat=True)
    return _page(request, "direct", recipients=list(names))


@login_required
def groups(request):
    """What is said here, a group sees."""
    names = request.user.groups.order_by("name").values_list("name", flat=True)
    return _page(request, "groups", recipients=list(names))


@require_POST
def say(request):
    """Publishes one message, signed with the sender's name."""
    if not request.user.is_authenticated:
        return _refuse("You have been signed out.", 403)
    # Forms send a line's end as two characters, and the field counts one.
    text = request.POST.get("text", "").replace("\r\n", "\n").strip()
    if not text:
        return _refuse("There is nothing to say yet.")
    if len(text) > TEXT_MAX:
        return _refuse(f"That is over {TEXT_MAX} characters.")
    kind, to = request.POST.get("kind"), request.POST.get("to", "")
    me = request.user.get_username()
    if kind == "everyone":
        audience = {"broadcast": True}
    elif kind == "direct":
        if not get_user_model().objects.filter(username=to, is_active=True).exists():
            return _refuse("There is nobody of that name.")
        # To the sender too: other windows show what was said in this one.
        audience = {"users": sorted({to, me})}
    elif kind == "groups":
        if not request.user.groups.filter(name=to).exists():
            return _refuse("You are not in that group.", 403)
        audience = {"groups": [to]}
    else:
        return _refuse("To whom?")
    message = {
        "id": str(uuid.uuid4()),
        "kind": kind,
        "from": me,
        "to": to,
        "text": text,
        "at": timezone.now().isoformat(),
    }
    publisher = RedisPublisher(facility=FACILITY, **audience)
    publisher.publish_message(RedisMessage(json.dumps(message)))
    return HttpResponse(status=204)


def _refuse(why, status=400):
    return HttpResponse(why, status=status, content_type="text/plain; charset=utf-8")
