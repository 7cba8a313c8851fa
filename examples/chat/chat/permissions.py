"""Who may listen and speak: the gateway asks this, through `ws4redis.views.authorize`."""

from django.core.exceptions import PermissionDenied


def get_allowed_channels(request, channels):
    """Those who are signed in may listen. Nobody speaks past Django, which signs each message with its sender's name."""
    if not request.user.is_authenticated:
        raise PermissionDenied("sign in first")
    return [channel for channel in channels if channel.startswith("subscribe-")]
