// uWebSockets, as Bun has it built in: server.publish() sends a message to a topic, Bun's own client reads Redis.
const redis = new Bun.RedisClient(`redis://127.0.0.1:${process.env.REDIS_PORT}`);
// Where clients come and go so fast that one follows the other, the client of Redis rejects; nobody waits for it.
const ignore = () => {};
const publisher = await redis.duplicate();

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  fetch(request, server) {
    const names = new URL(request.url).pathname.split("/").pop().split(",");
    const topics = names.map((name) => "broadcast:" + name);
    if (!server.upgrade(request, { data: { topics } })) return new Response("", { status: 426 });
  },
  websocket: {
    perMessageDeflate: false,
    open(socket) {
      for (const topic of socket.data.topics) {
        socket.subscribe(topic);
        if (server.subscriberCount(topic) === 1) {
          redis.subscribe(topic, (message, channel) => server.publish(channel, message)).catch(ignore);
        }
      }
    },
    message(socket, message) {
      publisher.publish(socket.data.topics[0], message);
    },
    close(socket) {
      for (const topic of socket.data.topics) {
        if (server.subscriberCount(topic) === 0) redis.unsubscribe(topic).catch(ignore);
      }
    },
  },
});
