"""The two callbacks of the original's documentation ("Safety considerations"), as a site would have them."""

from django.core.exceptions import PermissionDenied


def only_some(request, channels):
    return set(channels).intersection(['subscribe-broadcast', 'subscribe-group'])


def only_users(request, channels):
    if not request.user.is_authenticated():
        raise PermissionDenied('Not allowed to subscribe nor to publish on the Websocket!')
