// `console` as functions find it on Lambda: one event a call, in text with tabs or as a JSON object.
'use strict';

const fs = require('fs');
const util = require('util');
const errors = require('./_samovar_errors.js');

const TEXT_FRAME = 0xa55a0003;
const JSON_FRAME = 0xa55a0002;
const LEVELS = { TRACE: 0x04, DEBUG: 0x08, INFO: 0x0c, WARN: 0x10, ERROR: 0x14, FATAL: 0x18 };
const FULL_PIPE_WAIT_MS = 1;

/** The invocation that lines belong to. */
const current = { requestId: undefined, tenantId: undefined };

let structured = false;

/** Replaces the methods of the global console. `idle` stands for the request id outside of invocations. */
function patch(idle) {
  structured = (process.env.AWS_LAMBDA_LOG_FORMAT || '').toUpperCase() === 'JSON';
  const least = LEVELS[(process.env.AWS_LAMBDA_LOG_LEVEL || '').toUpperCase()] || 0;
  const write = writer(process.env._LAMBDA_TELEMETRY_LOG_FD);
  delete process.env._LAMBDA_TELEMETRY_LOG_FD;
  const text = structured ? jsonText : plainText;
  for (const [name, mask] of Object.entries(LEVELS)) {
    const log = (...args) => {
      const now = new Date();
      write(now, mask, text(now, name, current.requestId ?? idle, args));
    };
    console[name.toLowerCase()] = mask >= least ? log : () => {};
  }
  console.log = console.info;
}

/** Logs an error that ends an invocation or the process. */
function logError(title, error) {
  const shown = error instanceof Error ? error : new Error(error);
  if (structured) {
    console.error(shown);
  } else {
    console.error(title, `\t${errors.dump(shown)}`);
  }
}

function writer(descriptor) {
  if (descriptor === undefined) {
    // Line ends become carriage returns, which keep an event in one piece.
    return (now, mask, text) => process.stdout.write(`${text.replaceAll('\n', '\r')}\n`);
  }
  const fd = Number(descriptor);
  const kind = structured ? JSON_FRAME : TEXT_FRAME;
  const end = structured ? '' : '\n';
  return (now, mask, text) => {
    const size = Buffer.byteLength(text) + end.length;
    const frame = Buffer.allocUnsafe(16 + size);
    frame.writeUInt32BE((kind | mask) >>> 0, 0);
    frame.writeUInt32BE(size, 4);
    frame.writeBigUInt64BE(BigInt(now.getTime()) * 1000n, 8);
    frame.write(text + end, 16);
    // One write a frame: what other processes write must not fall into it.
    writeAll(fd, frame);
  };
}

function writeAll(fd, data) {
  let written = 0;
  while (written < data.length) {
    try {
      written += fs.writeSync(fd, data, written);
    } catch (error) {
      // A process that shares the pipe may have set it non-blocking; then a full pipe refuses.
      if (error.code !== 'EAGAIN') {
        throw error;
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PIPE_WAIT_MS);
    }
  }
}

function plainText(now, level, requestId, args) {
  return `${now.toISOString()}\t${requestId}\t${level}\t${util.format(args[0], ...args.slice(1))}`;
}

function jsonText(now, level, requestId, args) {
  const record = { timestamp: now.toISOString(), level, requestId };
  if (current.tenantId) {
    record.tenantId = current.tenantId;
  }
  if (args.length <= 1) {
    record.message = args[0];
    try {
      return JSON.stringify(record, (_, value) => (value instanceof Error ? { ...errorFields(value), ...value } : value));
    } catch {
      record.message = util.format(args[0]);
      return JSON.stringify(record);
    }
  }
  record.message = util.format(...args);
  const error = args.find((arg) => arg instanceof Error);
  return JSON.stringify(error === undefined ? record : { ...record, ...errorFields(error) });
}

function errorFields(error) {
  return {
    errorType: error.constructor?.name ?? 'UnknownError',
    errorMessage: error.message,
    stackTrace: typeof error.stack === 'string' ? error.stack.split('\n') : [],
  };
}

module.exports = { current, logError, patch };
