// Socket.IO with its Redis adapter: a program says POST, the adapter tells the other servers through Redis.
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { Redis } from "ioredis";
import { Server } from "socket.io";

const redis = new Redis(Number(process.env.REDIS_PORT), "127.0.0.1");
const room = (url) => url.split("?")[0].split("/").pop();

const http = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    io.to(room(request.url)).emit("m", Buffer.concat(parts).toString());
    response.end();
  });
});

const io = new Server(http, {
  adapter: createAdapter(redis, redis.duplicate()),
  transports: ["websocket"],
  // The load generator speaks WebSocket and not Engine.IO: it answers no ping of it.
  pingInterval: 3_600_000,
});

io.on("connection", (socket) => {
  socket.join(socket.handshake.query.room);
  // Saves memory, as its documentation has it: the request is kept otherwise.
  delete socket.conn.request;
});

http.listen({ host: "127.0.0.1", port: Number(process.env.PORT), backlog: 4096 });
