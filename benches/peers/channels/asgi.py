"""Django Channels: a group per facility, the layer that uses Redis's own pub/sub. A program publishes with POST."""

import os

import django
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer
from channels.routing import ProtocolTypeRouter
from django.conf import settings

LAYER = {
    "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
    "CONFIG": {"hosts": [f"redis://127.0.0.1:{os.environ['REDIS_PORT']}"]},
}
settings.configure(SECRET_KEY="-", INSTALLED_APPS=["channels"], CHANNEL_LAYERS={"default": LAYER})
django.setup()


class Consumer(AsyncWebsocketConsumer):
    async def connect(self):
        self.group = facility(self.scope)
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def receive(self, text_data=None, bytes_data=None):
        await self.channel_layer.group_send(self.group, {"type": "message", "text": text_data})

    async def message(self, event):
        await self.send(text_data=event["text"])


async def publish(scope, receive, send):
    body, more = b"", True
    while more:
        event = await receive()
        body, more = body + event.get("body", b""), event.get("more_body", False)
    await get_channel_layer().group_send(facility(scope), {"type": "message", "text": body.decode()})
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def facility(scope):
    return scope["path"].split("/")[-1]


application = ProtocolTypeRouter({"websocket": Consumer.as_asgi(), "http": publish})
