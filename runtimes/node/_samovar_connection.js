// One kept-alive HTTP/1.1 connection to the Runtime API, written by hand over `net`: the stock `http`
// client costs more per request than everything else this client does.
'use strict';

const net = require('net');

const API = '/2018-06-01/runtime/';
// Larger answers are not copied behind their head.
const WRITE_TOGETHER = 256 * 1024;
// Asks Samovar to reply to an answer with the next event. Elsewhere the reply is the usual 202.
const AND_NEXT = 'samovar-and-next: 1\r\n';

class Connection {
  constructor(address) {
    const colon = address.lastIndexOf(':');
    this.address = { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
    this.host = `Host: ${address}\r\n`;
    this.nextRequest = `GET ${API}invocation/next HTTP/1.1\r\n${this.host}\r\n`;
    this.socket = null;
    this.waiting = [];
    this.asking = false;
    this.unread = [];
    this.unreadBytes = 0;
    this.head = null;
  }

  /** Waits for an event. The process stays alive meanwhile; during a handler the connection does not hold it. */
  next() {
    return new Promise((resolve, reject) => {
      this.write(this.nextRequest);
      this.awaitEvent(resolve, reject, true);
    });
  }

  /** Posts the end of an invocation and waits for the next event, in one request where the platform can. */
  answerAndNext(path, headers, body) {
    const head = this.postHead(path, headers + AND_NEXT, body.length);
    return new Promise((resolve, reject) => {
      if (body.length <= WRITE_TOGETHER) {
        this.write(Buffer.concat([Buffer.from(head), body]));
      } else {
        this.write(head);
        this.write(body);
      }
      this.asking = true;
      this.expect((error, reply) => {
        this.asking = false;
        if (!error && reply.status === 200) {
          resolve(reply);
        } else {
          // A lost or refused answer is the platform's to report; this environment goes on.
          this.next().then(resolve, reject);
        }
      });
    });
  }

  /** Posts and waits for the reply. */
  post(path, headers, body) {
    return this.exchange(this.postHead(path, headers, body.length), body);
  }

  /** Posts without waiting, for a process that is about to end: small writes reach the kernel at once. */
  postLast(path, headers, body) {
    this.write(Buffer.concat([Buffer.from(this.postHead(path, headers, body.length)), body]));
  }

  postHead(path, headers, length) {
    return `${this.streamHead(path, headers)}Content-Length: ${length}\r\n\r\n`;
  }

  streamHead(path, headers) {
    return `POST ${API}${path} HTTP/1.1\r\n${this.host}${headers}`;
  }

  exchange(head, body) {
    return new Promise((resolve, reject) => {
      this.write(head);
      this.write(body);
      this.expect((error, reply) => (error ? reject(error) : resolve(reply)));
    });
  }

  awaitEvent(resolve, reject, again) {
    this.asking = true;
    this.expect((error, reply) => {
      if (error && again) {
        // The server may close an idle connection; asking again is harmless.
        this.write(this.nextRequest);
        this.awaitEvent(resolve, reject, false);
        return;
      }
      this.asking = false;
      if (error) {
        reject(error);
      } else if (reply.status !== 200) {
        reject(new Error(`the Runtime API answered ${reply.status} to next: ${reply.body}`));
      } else {
        resolve(reply);
      }
    });
  }

  /** Calls back with the reply to what was written last; keeps the process alive until then. */
  expect(callback) {
    this.waiting.push(callback);
    this.socket.ref();
  }

  write(data, callback) {
    if (this.socket === null) {
      this.connect();
    }
    return this.socket.write(data, callback);
  }

  connect() {
    const socket = net.connect(this.address);
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (data) => this.read(data));
    socket.on('error', () => {});
    socket.on('close', () => this.closed(socket));
  }

  /** Closes the connection for good: whoever waits for a reply, or asks for one later, waits for ever. */
  abandon() {
    this.write = () => true;
    this.expect = () => {};
    const socket = this.socket;
    this.socket = null;
    this.waiting = [];
    socket?.destroy();
  }

  closed(socket) {
    if (this.socket !== socket) {
      return;
    }
    this.socket = null;
    this.unread = [];
    this.unreadBytes = 0;
    this.head = null;
    const waiting = this.waiting;
    this.waiting = [];
    for (const callback of waiting) {
      callback(new Error('the Runtime API closed the connection'));
    }
  }

  read(data) {
    this.unread.push(data);
    this.unreadBytes += data.length;
    while (this.takeReply()) {}
  }

  takeReply() {
    if (this.head === null && !this.takeHead()) {
      return false;
    }
    const { status, headers, length } = this.head;
    if (this.unreadBytes < length) {
      return false;
    }
    const all = this.joined();
    this.keep(all.subarray(length));
    this.head = null;
    const callback = this.waiting.shift();
    if (this.waiting.length === 0) {
      this.socket.unref();
    }
    if (callback) {
      callback(null, { status, headers, body: all.toString('utf8', 0, length) });
    }
    return this.unreadBytes > 0;
  }

  takeHead() {
    const all = this.joined();
    const end = all.indexOf('\r\n\r\n');
    if (end < 0) {
      this.keep(all);
      return false;
    }
    const [first, ...lines] = all.toString('utf8', 0, end).split('\r\n');
    const headers = {};
    for (const line of lines) {
      const colon = line.indexOf(':');
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    this.head = { status: Number(first.split(' ')[1]), headers, length: Number(headers['content-length'] || 0) };
    this.keep(all.subarray(end + 4));
    return true;
  }

  joined() {
    return this.unread.length === 1 ? this.unread[0] : Buffer.concat(this.unread);
  }

  keep(rest) {
    this.unread = rest.length > 0 ? [rest] : [];
    this.unreadBytes = rest.length;
  }
}

module.exports = { Connection };
