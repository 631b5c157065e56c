// Runs one invocation of nobody's function before this process waits for its own: what Node.js loads, compiles and
// connects for the first time costs more than everything else that a first invocation does.
'use strict';

const net = require('net');
const { Connection } = require('./_samovar_connection.js');
const { current } = require('./_samovar_console.js');

const EVENT = '{}';
const WORK = [
  'HTTP/1.1 200 OK',
  'Content-Type: application/json',
  'Lambda-Runtime-Aws-Request-Id: 00000000-0000-4000-8000-000000000000',
  'Lambda-Runtime-Deadline-Ms: 0',
  'Lambda-Runtime-Invoked-Function-Arn: rehearsal',
  'Lambda-Runtime-Trace-Id: rehearsal',
  `Content-Length: ${EVENT.length}`,
  '',
  EVENT,
].join('\r\n');
// Who waits must say soon that it does.
const PATIENCE_MS = 500;

/** Is over soon, however it went; nothing of it is left but what is loaded. */
async function rehearse(Runtime, modern) {
  // A socket that is closed looks whether it is this one, and looking would make it.
  const stderr = Object.getOwnPropertyDescriptor(process, 'stderr');
  Object.defineProperty(process, 'stderr', { ...stderr, get: () => undefined });
  await converse(Runtime, modern);
  Object.defineProperty(process, 'stderr', stderr);
  await import('./_samovar_rehearsal.mjs').catch(() => {});
  delete require.cache[__filename];
  current.requestId = undefined;
  // Otherwise the function's own first lines might fill what is left of the young generation.
  globalThis.gc?.({ type: 'minor' });
}

function converse(Runtime, modern) {
  return new Promise((resolve) => {
    let connection = null;
    let requests = 0;
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', () => {
        requests += 1;
        if (requests === 1) {
          socket.write(WORK);
        } else {
          end();
        }
      });
    });
    const timer = setTimeout(end, PATIENCE_MS);
    function end() {
      clearTimeout(timer);
      connection?.abandon();
      server.close(resolve);
    }
    server.on('error', end);
    server.listen(0, '127.0.0.1', () => {
      connection = new Connection(`127.0.0.1:${server.address().port}`);
      new Runtime(connection, modern).start(__dirname, '_samovar_rehearsal.handler').catch(end);
    });
  });
}

/** The function. */
async function handler(event) {
  return event;
}

module.exports = { handler, rehearse };
