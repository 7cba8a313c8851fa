// Node: ws, which is what most have, and ioredis.
import { Redis } from "ioredis";
import { WebSocketServer } from "ws";

const redis = new Redis(Number(process.env.REDIS_PORT), "127.0.0.1");
// What is published in one turn of the loop goes out in one write, as the documentation of ioredis advises.
const publisher = redis.duplicate({ enableAutoPipelining: true });
const members = new Map();

// Compression is off unless it is asked for, which is what its documentation advises, as it does bufferutil, which is
// installed. It need not keep its clients, as they are kept here.
const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(process.env.PORT),
  backlog: 4096,
  clientTracking: false,
});

server.on("connection", (socket, request) => {
  const channel = "broadcast:" + request.url.split("?")[0].split("/").pop();
  if (!members.has(channel)) {
    members.set(channel, new Set());
    redis.subscribe(channel);
  }
  members.get(channel).add(socket);
  socket.on("error", () => {});
  socket.on("message", (message) => publisher.publish(channel, message));
  socket.on("close", () => {
    const left = members.get(channel);
    left.delete(socket);
    if (left.size === 0) {
      members.delete(channel);
      redis.unsubscribe(channel);
    }
  });
});

// A buffer stays one, so that a message is not encoded again for each client.
redis.on("messageBuffer", (channel, message) => {
  for (const socket of members.get(channel.toString()) ?? []) socket.send(message, { binary: false });
});
