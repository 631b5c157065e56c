// The errors that a runtime itself reports, and the forms in which any error leaves it.
'use strict';

const util = require('util');

// A trace with a deep stack must not burst the head of the request.
const CAUSE_LIMIT = 16 * 1024;

const kinds = {};
for (const name of [
  'CallbackHandlerDeprecated',
  'HandlerNotFound',
  'ImportModuleError',
  'InvalidStreamingOperation',
  'JSONStringifyError',
  'MalformedHandlerName',
  'MalformedStreamingHandler',
  'UserCodeSyntaxError',
]) {
  kinds[name] = class extends Error {};
  kinds[name].prototype.name = `Runtime.${name}`;
}

class UnhandledPromiseRejection extends Error {
  constructor(reason, promise) {
    super(reason);
    this.reason = reason;
    this.promise = promise;
  }
}
UnhandledPromiseRejection.prototype.name = 'Runtime.UnhandledPromiseRejection';
kinds.UnhandledPromiseRejection = UnhandledPromiseRejection;

/** The body that reports `error`. */
function describe(error) {
  try {
    if (!looksLikeError(error)) {
      return { errorType: typeof error, errorMessage: String(error), trace: [] };
    }
    return {
      errorType: printable(error.name),
      errorMessage: printable(error.message),
      trace: printable(error.stack).split('\n'),
    };
  } catch {
    const lost = 'there was a problem while retrieving one or more of its message, name, and stack';
    return { errorType: 'handled', errorMessage: `callback called with Error argument, but ${lost}`, trace: [] };
  }
}

/** Request headers that go with an error body. */
function headers(error, { errorType }) {
  let text = 'Content-Type: application/json\r\n';
  if (/^[\x21-\x7e]+$/.test(errorType)) {
    text += `Lambda-Runtime-Function-Error-Type: ${errorType}\r\n`;
  }
  const cause = causeOf(error);
  if (cause.length > 0 && cause.length <= CAUSE_LIMIT) {
    text += `Lambda-Runtime-Function-XRay-Error-Cause: ${cause}\r\n`;
  }
  return text;
}

/** `error` as JSON text with all its own properties, as log lines show it. */
function dump(error) {
  try {
    return JSON.stringify(error, (_, value) => (value instanceof Error ? withProperties(value) : value));
  } catch {
    return JSON.stringify(describe(error));
  }
}

function withProperties(error) {
  const shown = { errorType: error.name, errorMessage: error.message, code: error.code, ...error };
  if (typeof error.stack === 'string') {
    shown.stack = error.stack.split('\n');
  }
  return shown;
}

function looksLikeError(error) {
  if (util.types.isNativeError(error)) {
    return true;
  }
  return ['name', 'message', 'stack'].every((key) => error && error[key] && typeof error[key] === 'string');
}

// DEL breaks the platform's reader of headers and traces; the stock client writes it this way too.
function printable(text) {
  return text.replaceAll('\x7f', '%7F');
}

function causeOf(error) {
  try {
    const stack = printable(error.stack).split('\n').slice(1).map(frame);
    const cause = {
      working_directory: process.cwd(),
      exceptions: [{ type: printable(error.name), message: printable(error.message), stack }],
      paths: [...new Set(stack.map(({ path }) => path))],
    };
    return JSON.stringify(cause).replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
  } catch {
    return '';
  }
}

function frame(line) {
  const words = line.trim().replace(/[()]/g, '').split(' ').slice(1);
  const [path, number] = (words.pop() || '').split(':');
  return { path, line: parseInt(number, 10), label: words.join(' ') || 'anonymous' };
}

module.exports = { ...kinds, describe, dump, headers };
