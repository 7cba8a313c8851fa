// uWebSockets, as Bun has it built in: server.publish() sends a message to a topic, Bun's own client reads Redis.
const redis = new Bun.RedisClient(`redis://127.0.0.1:${process.env.REDIS_PORT}`);
// Where clients come and go so fast that one follows the other, the client of Redis rejects; nobody waits for it.
const ignore = () => {};
const publisher = await redis.duplicate();

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  fetch(request, server) {
    const topic = "broadcast:" + new URL(request.url).pathname.split("/").pop();
    if (!server.upgrade(request, { data: { topic } })) return new Response("", { status: 426 });
  },
  websocket: {
    perMessageDeflate: false,
    open(socket) {
      const { topic } = socket.data;
      socket.subscribe(topic);
      if (server.subscriberCount(topic) === 1) {
        redis.subscribe(topic, (message, channel) => server.publish(channel, message)).catch(ignore);
      }
    },
    message(socket, message) {
      publisher.publish(socket.data.topic, message);
    },
    close(socket) {
      const { topic } = socket.data;
      if (server.subscriberCount(topic) === 0) redis.unsubscribe(topic).catch(ignore);
    },
  },
});
