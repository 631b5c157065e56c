// A runtime that was started before anybody knew for which function: it says that it is ready, reads one packet with the
// environment and the working directory that it would have been executed with, and goes on as if it had been.
'use strict';

const fs = require('fs');
const Module = require('module');

// The largest packet that an init sends.
const PACKET_BYTES = 128 * 1024;

/** Returns when this process has become the runtime of a function. */
function wait(descriptor) {
  fs.writeSync(descriptor, JSON.stringify({ ready: process.pid }));
  const packet = Buffer.allocUnsafeSlow(PACKET_BYTES);
  const length = fs.readSync(descriptor, packet);
  if (length === 0) {
    process.reallyExit(0);
  }
  fs.closeSync(descriptor);
  const { env, cwd } = JSON.parse(packet.toString('utf8', 0, length));
  for (const name of Object.keys(process.env)) {
    delete process.env[name];
  }
  for (const [name, value] of env) {
    process.env[name] = value;
  }
  process.chdir(cwd);
  // NODE_PATH was read when this process began.
  Module._initPaths();
}

module.exports = { wait };
