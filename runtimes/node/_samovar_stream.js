// Response streaming: the answer goes out as chunks while the handler writes it.
'use strict';

const { Writable } = require('stream');
const errors = require('./_samovar_errors.js');

const PRELUDE_TYPE = 'application/vnd.awslambda.http-integration-response';
const PRELUDE_END = new Uint8Array(8);
const ERROR_TYPE = 'Lambda-Runtime-Function-Error-Type';
const ERROR_BODY = 'Lambda-Runtime-Function-Error-Body';

class ResponseStream extends Writable {
  constructor(connection, id, highWaterMark) {
    super({ decodeStrings: true, highWaterMark });
    this.connection = connection;
    this.path = `invocation/${id}/response`;
    this.contentType = 'application/octet-stream';
    this.begun = false;
    this.error = null;
    this.answered = new Promise((resolve, reject) => {
      this.settle = (error) => (error ? reject(error) : resolve());
    });
    // A broken stream fails the invocation through `answered`; it must not end the process besides.
    this.answered.catch(() => {});
    this.on('error', () => {});
    // Unfinished, it holds the process: such an invocation ends by its timeout and not by an idle loop.
    this.hold = setInterval(() => {}, 1 << 30);
  }

  setContentType(type) {
    if (this.begun) {
      throw new errors.InvalidStreamingOperation('Cannot set content-type, too late.');
    }
    this.contentType = type;
  }

  write(chunk, ...rest) {
    const plain = typeof chunk === 'string' || chunk instanceof Uint8Array;
    return super.write(plain ? chunk : JSON.stringify(chunk), ...rest);
  }

  end(chunk, ...rest) {
    const plain = chunk === undefined || chunk === null || typeof chunk === 'function';
    if (!plain && typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) {
      return super.end(JSON.stringify(chunk), ...rest);
    }
    return super.end(chunk, ...rest);
  }

  _write(chunk, encoding, callback) {
    if (!this.begun && typeof this._onBeforeFirstWrite === 'function') {
      this._onBeforeFirstWrite((part) => this.send(Buffer.from(part)));
    }
    this.send(chunk, callback);
  }

  _final(callback) {
    this.begin();
    let trailers = '';
    if (this.error !== null) {
      const body = Buffer.from(JSON.stringify(this.error)).toString('base64');
      trailers = `${ERROR_TYPE}: ${this.error.errorType}\r\n${ERROR_BODY}: ${body}\r\n`;
    }
    this.connection.write(`0\r\n${trailers}\r\n`);
    this.connection.expect((error) => {
      clearInterval(this.hold);
      this.settle(error);
    });
    callback();
  }

  _destroy(error, callback) {
    if (!this.writableFinished) {
      this.settle(error ?? new Error('Response stream is not finished.'));
    }
    callback(error);
  }

  send(chunk, callback) {
    this.begin();
    if (chunk.length === 0) {
      callback?.();
      return;
    }
    this.connection.write(`${chunk.length.toString(16)}\r\n`);
    this.connection.write(chunk);
    this.connection.write('\r\n', callback && (() => callback()));
  }

  begin() {
    if (this.begun) {
      return;
    }
    this.begun = true;
    const headers =
      `Lambda-Runtime-Function-Response-Mode: streaming\r\nContent-Type: ${this.contentType}\r\n` +
      `Trailer: ${ERROR_TYPE}, ${ERROR_BODY}\r\nTransfer-Encoding: chunked\r\n\r\n`;
    this.connection.write(this.connection.streamHead(this.path, headers));
  }

  /** Ends the stream with an error; resolves when the platform has taken it. */
  fail(described) {
    if (this.writableEnded && !this.destroyed) {
      return this.answered.catch(() => {});
    }
    this.error = described;
    if (this.destroyed) {
      // A destroyed stream ends no more by itself.
      return new Promise((resolve) => {
        const settle = this.settle;
        this.settle = () => resolve(settle());
        this._final(() => {});
      });
    }
    this.end();
    return this.answered.catch(() => {});
  }
}

/** A stream that answers invocation `id`. */
function stream(connection, id, highWaterMark) {
  return new ResponseStream(connection, id, highWaterMark);
}

/** Puts a status, headers and cookies before a streamed body. */
class HttpResponseStream {
  static from(underlyingStream, prelude) {
    underlyingStream.setContentType(PRELUDE_TYPE);
    const text = JSON.stringify(prelude);
    underlyingStream._onBeforeFirstWrite = (write) => {
      write(text);
      write(PRELUDE_END);
    };
    return underlyingStream;
  }
}

module.exports = { HttpResponseStream, stream };
