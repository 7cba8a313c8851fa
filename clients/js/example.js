/**
 * Serves example.html beside a gateway: `npm run example`, with `make run` (or `ws4redis serve`) in another terminal.
 *
 * The gateway lets the pages of its own host in. As a proxy would, this puts both under one: the page is answered from
 * here, and `/ws/` goes on to the gateway, Host and all.
 */

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect } from 'node:net';

const [gatewayHost, gatewayPort] = (process.env.GATEWAY ?? '127.0.0.1:8000').split(':');
const port = process.env.PORT ?? 8080;
const FILES = {
  '/': ['example.html', 'text/html'],
  '/src/ws4redis.js': ['src/ws4redis.js', 'text/javascript'],
  '/src/connection.js': ['src/connection.js', 'text/javascript'],
};

const server = createServer(async ({ url }, response) => {
  const [name, type] = FILES[url.split('?')[0]] ?? [];
  if (!name) return response.writeHead(404).end('not found\n');
  response.setHeader('Content-Type', `${type}; charset=utf-8`);
  response.end(await readFile(new URL(name, import.meta.url)));
});

server.on('upgrade', ({ method, url, rawHeaders }, client, first) => {
  const gateway = connect(gatewayPort, gatewayHost, () => {
    const fields = rawHeaders.map((text, at) => text + (at % 2 ? '\r\n' : ': ')).join('');
    gateway.write(`${method} ${url} HTTP/1.1\r\n${fields}\r\n`);
    gateway.write(first);
    client.pipe(gateway).pipe(client);
  });
  // Each end goes with the other; the page finds out what to do about it.
  client.on('error', () => gateway.destroy());
  gateway.on('error', () => client.destroy());
});

server.listen(port, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`));
